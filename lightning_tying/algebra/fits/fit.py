"""A program and what its value should be in; what its open slots should be out, by the primitives' own fits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lightning_tying.algebra.fits.estimate import Estimate
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.node import Inputs, Node
from lightning_tying.algebra.primitives.ref import Ref


def fit_slots(root: Node, target: Estimate, slots: Mapping[int, Tensor]) -> dict[int, Estimate]:
    """Go down a program and find what its open slots should be.

    Args:
        root: a program.
        target: what its value should be.
        slots: the values of settled slots.

    Returns:
        For each open slot that a fit reaches its first solution from left to right.
    """
    found: dict[int, Estimate] = {}
    waiting = [(root, target)]
    while waiting:
        node, wanted = waiting.pop()
        if isinstance(node, Ref):
            if node.slot not in slots:
                found.setdefault(node.slot, wanted)
            continue
        fitted = _fit_operands(node, wanted, slots)
        waiting += [(operand, each) for operand, each in reversed(fitted)]
    return found


def _fit_operands(node: Node, wanted: Estimate, slots: Mapping[int, Tensor]) -> list[tuple[Node, Estimate]]:
    known = [compute_if_settled(operand, slots) for operand in node.operands]
    if isinstance(node, Gather):
        return [(node.operands[0], _scatter(node, wanted))] if known[0] is None else []
    fitted = node.fit(wanted.value, known)
    return [(operand, Estimate(each)) for operand, each in zip(node.operands, fitted, strict=True) if each is not None]


def _scatter(node: Gather, wanted: Estimate) -> Estimate:
    """Each cell of the operand is the mean of the cells that read it; a cell that is read once each needs no counts."""
    sums, counts = node.scatter(wanted.sums)
    if wanted.counts is not None:
        plain, _ = node.scatter(torch.ones_like(wanted.value))
        if not torch.equal(plain, counts):  # signs: the sum of signed counts says nothing, so each cell counts alike
            sums, counts = node.scatter(wanted.value)
        else:
            counts, _ = node.scatter(wanted.counts.to(wanted.value))
    counts = counts.to(sums)
    if bool((counts == 1).all()):
        return Estimate(sums)
    return Estimate(sums / counts.clamp(min=1), counts)


def compute_if_settled(node: Node, slots: Mapping[int, Tensor]) -> Tensor | None:
    """The value of a node all of whose slots are settled, else None."""
    wanted = read_slots(node)
    if not wanted <= slots.keys():
        return None
    numbers = range(max(wanted, default=-1) + 1)
    return node.forward(Inputs([slots.get(number, torch.empty(0)) for number in numbers]))


def read_slots(node: Node) -> frozenset[int]:
    """The slots that a node and those below it read."""
    own = {node.slot} if isinstance(node, Ref) else set[int]()
    return frozenset(own.union(*(read_slots(operand) for operand in node.operands)))
