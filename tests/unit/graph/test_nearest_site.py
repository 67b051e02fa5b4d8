"""Which site was probably meant by a pattern that matches none."""

from __future__ import annotations

import pytest

from lightning_tying.graph.matching.nearest_site import name_nearest_site
from lightning_tying.spec.patterns import read_pattern

SITES = [
    *(f"layers.{layer}.{name}" for layer in range(3) for name in ("attn.q.weight", "mlp.up.weight", "norm.weight")),
    "head.weight",
    "bn.bias",
]


@pytest.mark.parametrize(
    ("pattern", "site"),
    [
        ("layers.{l}.atn.q.weight", "layers.0.attn.q.weight"),
        ("layers.{l}.atn.{name*}", "layers.0.attn.q.weight"),
        ("layers.{l}.mpl.**", "layers.0.mlp.up.weight"),
        ("**.layers.{l}.nrom.weight", "layers.0.norm.weight"),
        ("layers.{l}.{m:atn.*|mlp.*}.wieght", "layers.0.attn.q.weight"),
        ("layer.{l:int}.{name*}", "layers.0.attn.q.weight"),
        ("{name*}.bais", "bn.bias"),
        ("model.head.weight", None),
        ("head.weigth", "head.weight"),
        ("something.else.entirely", None),
        ("{a}.{b}.{c}.{d}.{e}.{f}", None),
    ],
)
def test_the_site_with_the_least_to_change(pattern: str, site: str | None) -> None:
    assert name_nearest_site(read_pattern(pattern), SITES) == site


def test_of_very_many_sites_the_most_alike_are_compared() -> None:
    sites = [f"block{chr(97 + i % 26)}{i}.proj.weight" for i in range(5000)] + ["tail.norm.weight"]

    assert name_nearest_site(read_pattern("tail.nrom.{name}"), sites) == "tail.norm.weight"
