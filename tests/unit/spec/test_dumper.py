"""The canonical form, to the letter."""

from __future__ import annotations

from lightning_tying.spec import load_spec

WRITTEN = """
parameters:
  W: {weight_decay: 0.0, lr: 1, shape: [_, d0 // 2, 128], dtype: float32, frozen: false, init: normal( 0.5 )}
share:
  - {keep: false, where: "ndim==2", equals: "W[ name,l%K ]+low_rank( min(r,d0,d1) )",
     sites: ["layers.{l}.{name*}.weight"],
     init: {W: mean, low_rank: svd}}
  - {grad: sum, tie: [a.weight], name: E, except: [b.*]}
  - {sites: [c.weight, d.weight], equals: V, grad: {scale: 5.0}, where: true}
  - preset: {over: "l.{l}", name: cycle, M: 3}
let: {r: 8, K: [9, x, {a: 1.5}]}
root: "net"
"""
CANONICAL = """\
version: 1
root: "net"
let: {"r": 8, "K": [9, "x", {"a": 1.5}]}
share:
  - sites: "layers.{l}.{name*}.weight"
    equals: "W[name, l % K] + low_rank(min(r, d0, d1))"
    where: "ndim == 2"
    init: {"W": "mean", "low_rank": "svd"}
  - tie: ["a.weight"]
    name: "E"
    except: "b.*"
  - sites: ["c.weight", "d.weight"]
    equals: "V"
    grad: {"scale": 5.0}
  - preset: {"over": "l.{l}", "name": "cycle", "M": 3}
parameters:
  "W": {"shape": ["_", "d0 // 2", 128], "init": "normal(0.5)", "weight_decay": 0, "frozen": false, "dtype": "float32"}
"""


def test_canonical_form():
    assert load_spec(WRITTEN).dump() == CANONICAL
    assert load_spec(CANONICAL).dump() == CANONICAL
