"""Refuses initial values that cannot be made for what they are written for."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_tying.algebra.catalogue import CATALOGUE
from lightning_tying.algebra.expression import Call, Expression, ParameterName, Read
from lightning_tying.algebra.registry import find_transform
from lightning_tying.algebra.transform import Transform
from lightning_tying.algebra.turned import find_turned
from lightning_tying.errors import Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import refuse

_FITS: Mapping[str, tuple[str, ...]] = {"svd": ("low_rank", "tt"), "svd_joint": ("mix", "basis"), "match": ("scale",)}
_MATRICES = frozenset({"kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal"})


def check_inits(graph: SharingGraph) -> SharingGraph:
    """Every initial value goes with its parameter.

    Raises:
        SpecError: one problem, `init`, for each family and entry.
    """
    fitted = [group for group in graph.groups if group.policy.init.kind in (*_FITS, "procrustes")]
    expressions = {derived.site: derived.expression for derived in graph.derived} if fitted else {}
    found = ((group, _check(group, expressions)) for group in graph.groups)
    return refuse(graph, ((group, problem) for group, problem in found if problem is not None))


def _check(group: SharingGroup, expressions: Mapping[str, Expression]) -> Problem | None:
    init, location, shape = group.policy.init, group.uses[0].location, group.meta.shape
    if init.kind in _FITS:
        text = _find_misfit(group, expressions)
        return Problem("init", location, text) if text is not None else None
    if init.kind == "procrustes":
        text = _find_unturned(group, expressions)
        return Problem("init", location, text) if text is not None else None
    drawn = shape[1:] if group.policy.slices else shape
    if init.kind in _MATRICES and len(drawn) < 2:
        if group.uses[0].bare:
            what = f"{group.owner} is {list(shape)}"
        else:
            what = f"{'a slice of ' if group.policy.slices else ''}`{group.name}` is {list(drawn)}"
        text = f"init {init} needs two dimensions; {what}. Write normal, zeros or another init."
        return Problem("init", location, text)
    return None


def _find_misfit(group: SharingGroup, expressions: Mapping[str, Expression]) -> str | None:
    """Why an `svd`, `svd_joint` or `match` cannot be carried out; None where a function around has such a fit."""
    init = group.policy.init
    calls = [_find_calls(expressions[use.site], group.name) for use in group.uses if use.site in expressions]
    functions = {call.function for found in calls for call in found}
    fitting = [call for found in calls for call in found if _has_fit(call.function, init.kind)]
    bound = next((call for call in fitting if _has_bound_coefficients(call)), None)
    if bound is not None and init.kind == "svd_joint":
        kind = next(name for name, value in bound.arguments if name in ("softmax", "top") and value)
        return (
            f"init {init} needs coefficients that are free, and those of `{group.name}` are bound by `{kind}` in mix. "
            "Write mean, first or another init."
        )
    if fitting:
        return None
    if group.uses[0].bare and init.kind != "match":
        return f"init {init} is for what a function brings, and `{group.name}` is read as it is. Write mean or first."
    known = " and ".join(_FITS[init.kind])
    reads = f"is read by {', '.join(sorted(functions))}" if functions else "is not"
    return f"init {init} is for {known}, and `{group.name}` {reads}. Write mean, first or another init."


def _find_unturned(group: SharingGroup, expressions: Mapping[str, Expression]) -> str | None:
    """Why a `procrustes` cannot be carried out: no site reads a table times a matrix."""
    if any(find_turned(expressions[use.site], group.name) for use in group.uses if use.site in expressions):
        return None
    table = f"rows({group.name}, …) @ P[…]"
    return f"init procrustes is for the table in `{table}`, and `{group.name}` is not. Write mean or another init."


def _has_bound_coefficients(call: Call) -> bool:
    """Whether an SVD cannot give what a mixture brings: a softmax, or all but some at zero."""
    return call.function == "mix" and any(value for name, value in call.arguments if name in ("softmax", "top"))


def _find_calls(expression: Expression, name: ParameterName) -> list[Call]:
    """The functions that bring a parameter or have it as an argument."""
    calls = [node for node in expression.walk() if isinstance(node, Call)]
    return [call for call in calls if _takes(call, name)]


def _takes(call: Call, name: ParameterName) -> bool:
    named = any(isinstance(operand, Read) and operand.parameter == name for operand in call.operands)
    return named or any(own.parameter == name for own in call.own)


def _has_fit(function: str, kind: str) -> bool:
    """Whether a function of the catalogue has a fit as section 6 says, and one's own whether it writes one."""
    if function in CATALOGUE:
        return function in _FITS[kind]
    transform = find_transform(function)
    if kind == "svd_joint":
        return transform.solve_joint is not Transform.solve_joint
    return transform.solve is not Transform.solve
