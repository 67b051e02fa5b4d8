"""Whether a checkpoint's spec is the module's: whatever the order in which it is written."""

from __future__ import annotations

import pytest

from lightning_tying.checkpoints.saved_sharing import SavedSharing, check_spec, hash_spec, read_sharing_entry
from lightning_tying.errors import ConfigError
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.schema import SharingSpec

ONE = """\
version: 1
let: {b: 2, a: 1}
share:
  - "layers.{l}.w = W + V"
  - {tie: [x.weight, y.weight], name: E}
parameters: {W: {lr: 0.5}, E: {frozen: true}}
"""
PERMUTED = """\
version: 1
let: {a: 1, b: 2}
share:
  - {tie: [y.weight, x.weight], name: E}
  - "layers.{l}.w = W + V"
parameters: {E: {frozen: true}, W: {lr: 0.5}}
"""


def canonical(text: str) -> str:
    spec = SharingSpec.draft(text)
    assert not spec.problems
    return dump_spec(spec)


def test_order_says_nothing() -> None:
    saved = canonical(ONE)
    assert saved != canonical(PERMUTED)
    check_spec(SavedSharing(saved, 1, hash_spec(saved)), canonical(PERMUTED), "this module")


@pytest.mark.parametrize(
    "change", [("W + V", "V + W"), ("0.5", "0.25"), ("y.weight", "z.weight"), ("b: 2", "b: 3"), ("name: E", "name: W")]
)
def test_everything_else_does(change: tuple[str, str]) -> None:
    saved = canonical(ONE)
    other = PERMUTED.replace(*change)
    text = dump_spec(SharingSpec.draft(other))
    with pytest.raises(ConfigError, match="another sharing spec than this module"):
        check_spec(SavedSharing(saved, 1, hash_spec(saved)), text, "this module")


@pytest.mark.parametrize(
    "entry",
    [
        [1],
        {"spec": 5},
        {"groups": {"a": "b"}},
        {"groups": {"a": [1]}},
        {"maps": 5},
        {"groups": {"a": ["b"], "b": ["a"]}},
    ],
)
def test_a_damaged_entry_is_refused(entry: object) -> None:
    with pytest.raises(ConfigError, match="`sharing` is damaged"):
        read_sharing_entry({"sharing": entry})
