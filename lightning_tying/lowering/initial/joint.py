"""A parameter with init `svd_joint` and its sites in; its value, and what each use brings with it, out of one SVD."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Read
from lightning_tying.algebra.fits.estimate import Estimate, Pool
from lightning_tying.algebra.fits.solve import Settled, shapes_of, solve_expression, substitute
from lightning_tying.algebra.registry import find_transform, make_transform
from lightning_tying.algebra.transform import Transform
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.initial.whitening import read_whitening

_BROUGHT = frozenset({"solved", "orthogonal_rows", "svd", "svd_joint"})  # what a joint fit may set; others were chosen


@dataclass(frozen=True)
class JointUse:
    """A call whose first argument reads the parameter, at one site."""

    site: str
    expression: Expression
    call: Call


def find_joint_uses(graph: SharingGraph) -> dict[ParameterName, list[JointUse]]:
    """For each parameter whose init is `svd_joint` the calls to stack, in model order: the first at each site."""
    uses = {group.name: list[JointUse]() for group in graph.groups if group.policy.init.kind == "svd_joint"}
    for derived in graph.derived if uses else ():
        for node in derived.expression.walk():
            if not isinstance(node, Call) or not _fits_jointly(node):
                continue
            for name in node.operands[0].parameters:
                if name in uses and not any(use.site == derived.site for use in uses[name][-1:]):
                    uses[name].append(JointUse(derived.site, derived.expression, node))
    return uses


def _fits_jointly(call: Call) -> bool:
    is_own = find_transform(call.function).solve_joint is not Transform.solve_joint
    return is_own and bool(call.operands) and bool(call.own)


def find_brought(
    graph: SharingGraph, uses: Mapping[ParameterName, Sequence[JointUse]]
) -> dict[ParameterName, ParameterName]:
    """What functions bring and a joint fit sets, each with the parameter whose fit that is."""
    kinds = {group.name: group.policy.init.kind for group in graph.groups} if uses else {}
    found: dict[ParameterName, ParameterName] = {}
    for name, stacked in uses.items():
        for use in stacked:
            own = use.call.own[0].parameter
            if kinds[own] in _BROUGHT:
                found.setdefault(own, name)
    return found


def solve_joint(
    group: SharingGroup,
    uses: Sequence[JointUse],
    read: Callable[[str], Tensor],
    settled: Settled,
    folder: Path | None = None,
) -> Mapping[ParameterName, Tensor] | None:
    """The SVD over all uses.

    Args:
        group: its policy's init is `svd_joint`.
        uses: what `find_joint_uses` found for it.
        read: what a site holds, in the dtype to reckon in.
        settled: what is known.
        folder: what the path of the calibration file is relative to.

    Returns:
        The parameter and the first own parameter of each use; None where the function has no such fit.

    Raises:
        ApplyError: the calibration file does not serve.
    """
    if not uses:
        return None
    transform, call = make_transform(uses[0].call), uses[0].call
    targets = [_find_target(use, read(use.site), settled) for use in uses]
    whitening = _read_factor(group, uses, targets, folder)
    solution = transform.solve_joint(targets, shapes_of(call), whitening)
    if solution is None:
        return None
    operand, brought = solution
    pools: dict[ParameterName, Pool] = {}
    for name, estimate in solve_expression(call.operands[0], group.name, Estimate(operand), settled):
        pools.setdefault(name, Pool()).fill(estimate)
    for use, value in zip(uses, brought, strict=True):
        pools.setdefault(use.call.own[0].parameter, Pool()).add(Estimate(value))
    return {name: pool.value for name, pool in pools.items()}


def _find_target(use: JointUse, site: Tensor, settled: Settled) -> Tensor:
    """What the call should be so that the site has its value: the way down to it is undone."""
    if use.expression is use.call:
        return site
    stand_in = Read(use.call.shape, ParameterName("", (use.site,)))
    below = substitute(use.expression, use.call, stand_in)
    found = dict(reversed(solve_expression(below, stand_in.parameter, Estimate(site), settled)))
    return found[stand_in.parameter].value if stand_in.parameter in found else site.new_zeros(use.call.shape)


def _read_factor(
    group: SharingGroup, uses: Sequence[JointUse], targets: Sequence[Tensor], folder: Path | None
) -> Tensor | None:
    if not group.policy.init.arguments:
        return None
    width = targets[0].numel() // targets[0].shape[0]
    file = str(group.policy.init.arguments[0])
    return read_whitening(file, [use.site for use in uses], width, folder).to(targets[0])
