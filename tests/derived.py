"""Derived sites by hand, without a spec: expressions, parametrizations, and a count of evaluations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lightning_tying.algebra.expression import Call, Expression, Own, ParameterName, Read
from lightning_tying.lowering.runtime.parametrize import parametrize_site
from lightning_tying.lowering.runtime.site_value import SiteValue

T = ParameterName("T")


def mix(shape: tuple[int, ...], key: str, k: int = 3) -> Expression:
    return Call(shape, "mix", (Read((k, *shape), T),), (("k", k),), (Own("a", ParameterName("mix.a", (key,)), (k,)),))


def turned(rows: int, columns: int) -> Expression:
    return Call((rows, columns), "t", (Read((columns, rows), T),))


def low_rank(shape: tuple[int, ...], r: int, key: str = "") -> Expression:
    own = (
        Own("A", ParameterName("low_rank.A", (key,)), (r, math.prod(shape[1:]))),
        Own("B", ParameterName("low_rank.B", (key,)), (shape[0], r)),
    )
    return Call(shape, "low_rank", (), (("r", r),), own)


def tie(
    module: nn.Module, name: str, expression: Expression, *parameters: nn.Parameter, keep: bool = False
) -> SiteValue:
    """Let a tensor be computed; the parameters are in the order of `expression.parameters`."""
    value = SiteValue(expression, [1.0] * len(parameters), parameters, getattr(module, name).dtype, keep)
    parametrize_site(module, name, value)
    return value


def two_layers() -> tuple[nn.Sequential, nn.Parameter]:
    """Two layers that mix the same three templates."""
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    templates = nn.Parameter(torch.randn(3, 6, 6))
    for place in (0, 2):
        tie(net[place], "weight", mix((6, 6), str(place)), nn.Parameter(torch.randn(3)), templates)
    return net, templates


@contextmanager
def counted() -> Iterator[list[SiteValue]]:
    """Every evaluation of a site inside, in order."""
    calls: list[SiteValue] = []
    plain = SiteValue.compute_with

    def count(self: SiteValue, *arguments: object) -> torch.Tensor:
        calls.append(self)
        return plain(self, *arguments)  # type: ignore[arg-type]

    SiteValue.compute_with = count  # type: ignore[method-assign]
    try:
        yield calls
    finally:
        SiteValue.compute_with = plain  # type: ignore[method-assign]
