"""Sharing graphs made by hand: what each site reads in, a graph without a spec out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import (
    Call,
    Expression,
    MatrixProduct,
    Own,
    ParameterName,
    Product,
    Read,
    Sum,
    name_slots,
)
from lightning_tying.graph.ir import DerivedSite, ParameterPolicy, SharingGraph, SharingGroup, Site, TensorMeta, Use
from lightning_tying.lowering.initial.initial_values import InitialValues, find_initial_values
from lightning_tying.spec.inits import read_init
from lightning_tying.spec.schema import Init


def name(text: str) -> ParameterName:
    """`W[0, q]` as a name."""
    family, _, index = text.rstrip("]").partition("[")
    places = tuple(int(each) if each.isdigit() else each for each in index.split(", ") if each)
    return ParameterName(family, places)


def read(text: str, *shape: int) -> Read:
    return Read(shape, name(text))


def add(*terms: Expression) -> Sum:
    return Sum(max((term.shape for term in terms), key=len), terms, (1,) * len(terms))


def times(*factors: Expression) -> Product:
    return Product(max((factor.shape for factor in factors), key=len), factors)


def matmul(left: Expression, right: Expression) -> MatrixProduct:
    return MatrixProduct((left.shape[0], right.shape[1]), left, right)


def call(function: str, shape: tuple[int, ...], *operands: Expression, own: Mapping[str, tuple[int, ...]] = {}, **rest):
    """A call; `own` maps full names (`low_rank.A[0]`) to shapes."""
    brought = tuple(Own(text.partition("[")[0].split(".")[1], name(text), each) for text, each in own.items())
    key = rest.pop("key", "")
    return Call(shape, function, operands, tuple(rest.items()), brought, key)


def low_rank(shape: tuple[int, int], r: int, index: object) -> Call:
    own = {f"low_rank.A[{index}]": (r, shape[1]), f"low_rank.B[{index}]": (shape[0], r)}
    return call("low_rank", shape, own=own, r=r)


def make_graph(
    sites: Mapping[str, Expression],
    inits: Mapping[str, str | tuple[str, tuple[str, ...]]] | None = None,
    *,
    dtypes: Mapping[str, str] | None = None,
    slices: tuple[str, ...] = (),
) -> SharingGraph:
    """A bare name is an alias. `inits` are texts by family (with the sites to solve from where not the default)."""
    shapes, uses = {}, {}
    for fqn, expression in sites.items():
        slots = {slot.parameter: slot.name for slot in name_slots(expression)}
        bare = isinstance(expression, Read)
        shapes.update({node.parameter: node.shape for node in expression.walk() if isinstance(node, Read)})
        shapes.update(
            {own.parameter: own.shape for node in expression.walk() if isinstance(node, Call) for own in node.own}
        )
        for parameter in expression.parameters:
            uses.setdefault(parameter, []).append(Use(fqn, slot="" if bare else slots[parameter], bare=bare))
    groups = []
    for parameter, found in uses.items():
        init, at = read_rule((inits or {}).get(parameter.family, "first"))
        dtype = (dtypes or {}).get(parameter.family)
        found.sort(key=lambda use: not use.bare)
        policy = ParameterPolicy(init, at, dtype=dtype, slices=parameter.family in slices)
        groups.append(SharingGroup(parameter, tuple(found), TensorMeta(shapes[parameter], dtype or "float32"), policy))
    derived = tuple(
        DerivedSite(fqn, expression, TensorMeta(expression.shape))
        for fqn, expression in sites.items()
        if not isinstance(expression, Read)
    )
    every = tuple(
        Site(fqn, TensorMeta(each.shape), "Linear", number) for number, (fqn, each) in enumerate(sites.items())
    )
    return SharingGraph(tuple(groups), derived=derived, sites=every)


def read_rule(rule: str | tuple[str, tuple[str, ...]]) -> tuple[Init, tuple[str, ...]]:
    text, at = (rule, ()) if isinstance(rule, str) else rule
    return (Init(text) if text in ("variance", "solved", "orthogonal_rows") else read_init(text)), at


def draw_sites(graph: SharingGraph, dtype: torch.dtype = torch.float32, std: float = 1.0) -> dict[str, nn.Parameter]:
    """Something for each site to hold."""
    generator = torch.Generator().manual_seed(1)
    return {
        site.fqn: nn.Parameter((torch.randn(site.meta.shape, generator=generator) * std).to(dtype))
        for site in graph.sites
    }


def solve(
    graph: SharingGraph, parameters: Mapping[str, nn.Parameter], **rest
) -> tuple[InitialValues, dict[str, Tensor]]:
    """The initial values, and those that are written by full name."""
    found = find_initial_values(graph, parameters, **rest)
    return found, {str(each): value for each, value in found.values.items()}
