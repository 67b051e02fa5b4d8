"""An expression and what its value should be in; what the shared parameters in it should be out, by undoing it.

Settled parameters have their values; an open term of a sum counts 0, an open factor of `*` counts 1, an open pair
`x @ y` is split by its singular value decomposition (section 8 of the language reference).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import mul
from typing import TypeAlias

import torch
from torch import Tensor

from lightning_tying.algebra.expand import expand
from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    MatrixProduct,
    ParameterName,
    Product,
    Read,
    Sum,
    with_children,
)
from lightning_tying.algebra.fits.estimate import Estimate
from lightning_tying.algebra.fits.fit import fit_slots
from lightning_tying.algebra.partial_shapes import Shapes
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Inputs, Node
from lightning_tying.algebra.primitives.ref import Ref
from lightning_tying.algebra.registry import make_transform
from lightning_tying.algebra.transform import Known

Settled: TypeAlias = Mapping[ParameterName, Tensor]
Aim: TypeAlias = tuple[Expression, Estimate]  # an expression below, and what it should be
Found: TypeAlias = tuple[ParameterName, Estimate]


def compute_value(expression: Expression, settled: Settled, like: Tensor) -> Tensor | None:
    """The value of an expression, in the dtype and on the device of `like`; None where a parameter is not settled."""
    if isinstance(expression, Constant):
        return like.new_tensor(expression.number)
    names = expression.parameters
    if any(name not in settled for name in names):
        return None
    if isinstance(expression, Read):
        return settled[expression.parameter].to(like)
    program = expand(expression, {name: slot for slot, name in enumerate(names)})
    return program.forward(Inputs([settled[name].to(like) for name in names]))


def solve_expression(expression: Expression, wanted: ParameterName, target: Estimate, settled: Settled) -> list[Found]:
    """Undo an expression on the way to one parameter.

    Args:
        expression: with whole shapes.
        wanted: a parameter that it reads.
        target: what its value should be, in the dtype and on the device to reckon in.
        settled: what is known.

    Returns:
        What was found, from left to right: `wanted`, once for each time it is read where a fit reaches it, and the
        open parameters that were solved together with it (both sides of `x @ y`, all that one fit makes).
    """
    found: list[Found] = []
    waiting: list[Aim] = [(expression, target)]
    while waiting:
        node, aim = waiting.pop()
        if isinstance(node, Read):
            if node.parameter not in settled:
                found.append((node.parameter, aim))
            continue
        below: list[Aim] = []
        match node:
            case Sum():
                below = _undo_sum(node, wanted, aim, settled)
            case Product():
                below = _undo_product(node, wanted, aim, settled)
            case MatrixProduct():
                below = _undo_matrix_product(node, aim, settled)
            case Call():
                below, own = _undo_call(node, aim, settled)
                found += own
            case _:
                pass
        waiting += reversed(below)
    return found


def _choose(children: Sequence[Expression], wanted: ParameterName, settled: Settled) -> list[int]:
    """Which children to go down into: all that read the wanted parameter; where none does, the first open one."""
    is_open = [number for number, child in enumerate(children) if any(name not in settled for name in child.parameters)]
    return [number for number in is_open if wanted in children[number].parameters] or is_open[:1]


def _undo_sum(node: Sum, wanted: ParameterName, aim: Estimate, settled: Settled) -> list[Aim]:
    rest = aim.value
    for term, sign in zip(node.terms, node.signs, strict=True):
        value = compute_value(term, settled, aim.value)
        if value is not None:
            rest = rest - sign * value
    return [
        (node.terms[number], _narrow(node.terms[number], Estimate(node.signs[number] * rest, aim.counts)))
        for number in _choose(node.terms, wanted, settled)
    ]


def _narrow(term: Expression, aim: Estimate) -> Estimate:
    """A number that is broadcast is the mean over the cells."""
    if term.shape or aim.value.dim() == 0:
        return aim
    return Estimate(aim.value.mean() if aim.counts is None else aim.sums.sum() / aim.counts.sum().clamp(min=1))


def _undo_product(node: Product, wanted: ParameterName, aim: Estimate, settled: Settled) -> list[Aim]:
    values = [compute_value(factor, settled, aim.value) for factor in node.factors]
    known = reduce(mul, (value for value in values if value is not None), torch.ones_like(aim.value))
    return [
        (node.factors[number], _divide(node.factors[number], aim, known))
        for number in _choose(node.factors, wanted, settled)
    ]


def _divide(factor: Expression, aim: Estimate, known: Tensor) -> Estimate:
    """What times `known` is the aim; a cell where `known` is 0 says nothing of the factor."""
    weights = known if aim.counts is None else known * aim.counts
    if not factor.shape and aim.value.dim():
        square = (weights * known).sum()
        return Estimate((weights * aim.value).sum() / square if square else square)
    speaks = known != 0
    if bool(speaks.all()):
        return Estimate(aim.value / known, aim.counts)
    counts = speaks.to(aim.value) if aim.counts is None else aim.counts * speaks
    return Estimate(torch.where(speaks, aim.value / torch.where(speaks, known, 1), 0), counts)


def _undo_matrix_product(node: MatrixProduct, aim: Estimate, settled: Settled) -> list[Aim]:
    left = compute_value(node.left, settled, aim.value)
    right = compute_value(node.right, settled, aim.value)
    product = Einsum("mk,kn->mn", [Ref(node.left.shape, 0), Ref(node.right.shape, 1)])
    fitted = product.fit(aim.value, [left, right])
    return [(side, Estimate(value)) for side, value in zip(node.children, fitted, strict=True) if value is not None]


def _undo_call(node: Call, aim: Estimate, settled: Settled) -> tuple[list[Aim], list[Found]]:
    """By the function's own `solve`, else by the fits of the primitives that it is made of."""
    operands = [compute_value(operand, settled, aim.value) for operand in node.operands]
    own = [settled[each.parameter].to(aim.value) if each.parameter in settled else None for each in node.own]
    if all(value is not None for value in (*operands, *own)):
        return [], []
    transform, shapes = make_transform(node), shapes_of(node)
    solution = transform.solve(aim.value, Known(tuple(operands), tuple(own)), shapes, node.key)
    if solution is not None:
        estimates = [None if value is None else Estimate(value) for value in (*solution.operands, *solution.own)]
    else:
        values = {slot: value for slot, value in enumerate((*operands, *own)) if value is not None}
        fitted = fit_slots(expand_alone(node), aim, values)
        estimates = [fitted.get(slot) for slot in range(len(operands) + len(own))]
    below = [
        (operand, estimate)
        for operand, value, estimate in zip(node.operands, operands, estimates, strict=False)
        if value is None and estimate is not None
    ]
    brought = [
        (each.parameter, estimate)
        for each, value, estimate in zip(node.own, own, estimates[len(operands) :], strict=True)
        if value is None and estimate is not None
    ]
    return below, brought


def shapes_of(call: Call) -> Shapes:
    """The whole shapes of a call."""
    return Shapes(call.shape, tuple(each.shape for each in call.operands), tuple(each.shape for each in call.own))


def expand_alone(call: Call) -> Node:
    """The program of a call by itself: its operands are the first slots, what it brings the slots after them."""
    operands = [Ref(operand.shape, slot) for slot, operand in enumerate(call.operands)]
    own = [Ref(each.shape, len(operands) + slot) for slot, each in enumerate(call.own)]
    return make_transform(call).expand(operands, own, shapes_of(call), call.key)


def substitute(expression: Expression, old: Expression, new: Expression) -> Expression:
    """The expression with another node in the place of one of its nodes (found by identity)."""
    if expression is old:
        return new
    return with_children(expression, tuple(substitute(child, old, new) for child in expression.children))
