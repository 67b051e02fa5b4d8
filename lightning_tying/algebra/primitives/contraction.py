"""A formula of `einsum` and the shapes of its tensors in; the cheapest order of pairwise products out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape

_SEARCHED = 5  # up to so many tensors every order is tried; the cheapest pair is taken first where there are more


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A product cell by cell, after dimensions of size 1 were put in: Hadamard, outer, scaled rows, Kronecker."""

    left: Shape
    right: Shape

    def run(self, left: Tensor, right: Tensor) -> Tensor:
        return left.reshape(self.left) * right.reshape(self.right)


@dataclass(frozen=True, slots=True)
class MatMul:
    """A product of two matrices into which the dimensions fold without being reordered.

    Args:
        left: the shape that the left tensor is folded into, None for its own; then `turn_left` may turn it.
        right: the same of the right one.
        shape: that the product is unfolded into, None for its own.
        swap: whether the right tensor comes first in the result.
    """

    left: Shape | None
    right: Shape | None
    turn_left: bool
    turn_right: bool
    shape: Shape | None
    swap: bool

    def run(self, left: Tensor, right: Tensor) -> Tensor:
        first = left if self.left is None else left.reshape(self.left)
        second = right if self.right is None else right.reshape(self.right)
        first = first.t() if self.turn_left else first
        second = second.t() if self.turn_right else second
        product = second.t() @ first.t() if self.swap else first @ second
        return product if self.shape is None else product.reshape(self.shape)


@dataclass(frozen=True, slots=True)
class General:
    """Anything else, by torch."""

    formula: str

    def run(self, *operands: Tensor) -> Tensor:
        return torch.einsum(self.formula, *operands)


Pairwise: TypeAlias = Broadcast | MatMul | General


@dataclass(frozen=True, slots=True)
class Step:
    """Tensors `left` and `right` of the list go out, their product is put at the end."""

    left: int
    right: int
    pairwise: Pairwise


@dataclass(frozen=True, slots=True)
class Contraction:
    """How a formula is computed.

    Args:
        shape: of the result.
        steps: pairwise products, in order; `last` is what is left to do when one tensor remains.
        summed: the product of the sizes of all letters that are summed.
        multiply_adds: of one evaluation.
    """

    shape: Shape
    steps: tuple[Step, ...]
    last: General | None
    summed: int
    multiply_adds: int

    def run(self, operands: Sequence[Tensor]) -> Tensor:
        """The value.

        Args:
            operands: of the shapes that the contraction was planned for, of one dtype and device.
        """
        values = list(operands)
        for step in self.steps:
            right = values.pop(step.right)
            left = values.pop(step.left)
            values.append(step.pairwise.run(left, right))
        return values[0] if self.last is None else self.last.run(values[0])


def split_formula(formula: str) -> tuple[tuple[str, ...], str]:
    """The letters of each tensor and of the result: `'or,ri->oi'` gives `('or', 'ri')`, `'oi'`."""
    inputs, _, output = formula.replace(" ", "").partition("->")
    return tuple(inputs.split(",")), output


def read_sizes(terms: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """The size of each letter, from the shapes of the tensors."""
    return {
        letter: size
        for term, shape in zip(terms, shapes, strict=True)
        for letter, size in zip(term, shape, strict=True)
    }


@lru_cache(maxsize=4096)
def plan_contraction(formula: str, shapes: tuple[Shape, ...]) -> Contraction:
    """Find the cheapest order.

    Args:
        formula: torch's letters, without `…`.
        shapes: of the tensors; they agree with each other.
    """
    terms, output = split_formula(formula)
    sizes = read_sizes(terms, shapes)
    shape = tuple(sizes[letter] for letter in output)
    summed = math.prod(size for letter, size in sizes.items() if letter not in output)
    order = _find_order(terms, output, sizes)
    names, steps, cost = list(terms), list[Step](), 0
    for left, right in order:
        second, first = names.pop(right), names.pop(left)
        result = _join(first, second, names, output)
        cost += _count(first + second, sizes)
        steps.append(Step(left, right, _choose(first, second, result, sizes)))
        names.append(result)
    if names[0] == output:
        return Contraction(shape, tuple(steps), None, summed, cost)
    own = _count(names[0], sizes) if set(names[0]) != set(output) else 0
    return Contraction(shape, tuple(steps), General(f"{names[0]}->{output}"), summed, cost + own)


def _count(letters: str, sizes: Mapping[str, int]) -> int:
    return math.prod(sizes[letter] for letter in set(letters))


def _join(first: str, second: str, others: Sequence[str], output: str) -> str:
    """The letters that are left when two tensors are multiplied; in the last product, in the result's order."""
    wanted = set(output).union(*others)
    if not others:
        return output if set(output) <= set(first + second) else "".join(dict.fromkeys(first + second))
    return "".join(letter for letter in dict.fromkeys(first + second) if letter in wanted)


def _find_order(terms: Sequence[str], output: str, sizes: Mapping[str, int]) -> list[tuple[int, int]]:
    """The pairs to multiply, as places in the list that shrinks; from left to right where orders cost the same."""
    if len(terms) < 2:
        return []
    if len(terms) <= _SEARCHED:
        return _search(tuple(terms), output, sizes)[1]
    pairs = [(_pair_cost(terms, pair, sizes), pair) for pair in _pairs(len(terms))]
    pair = min(pairs)[1]
    return [pair, *_find_order(_after(terms, pair, output), output, sizes)]


def _search(terms: tuple[str, ...], output: str, sizes: Mapping[str, int]) -> tuple[int, list[tuple[int, int]]]:
    if len(terms) < 2:
        return 0, []
    best: tuple[int, list[tuple[int, int]]] | None = None
    for pair in _pairs(len(terms)):
        below, order = _search(_after(terms, pair, output), output, sizes)
        cost = _pair_cost(terms, pair, sizes) + below
        if best is None or cost < best[0]:
            best = cost, [pair, *order]
    return best or (0, [])


def _pairs(count: int) -> list[tuple[int, int]]:
    return [(left, right) for left in range(count) for right in range(left + 1, count)]


def _pair_cost(terms: Sequence[str], pair: tuple[int, int], sizes: Mapping[str, int]) -> int:
    return _count(terms[pair[0]] + terms[pair[1]], sizes)


def _after(terms: Sequence[str], pair: tuple[int, int], output: str) -> tuple[str, ...]:
    others = [term for place, term in enumerate(terms) if place not in pair]
    return (*others, _join(terms[pair[0]], terms[pair[1]], others, output))


def _choose(first: str, second: str, result: str, sizes: Mapping[str, int]) -> Pairwise:
    """The fastest way to one pairwise product; torch's einsum permutes and folds at every call."""
    plain = len(set(first)) == len(first) and len(set(second)) == len(second)
    if plain:
        found = _as_broadcast(first, second, result, sizes) or _as_matmul(first, second, result, sizes)
        if found is not None:
            return found
    return General(f"{first},{second}->{result}")


def _as_broadcast(first: str, second: str, result: str, sizes: Mapping[str, int]) -> Broadcast | None:
    if set(first) | set(second) != set(result) or not (_is_part(first, result) and _is_part(second, result)):
        return None
    left, right = (tuple(sizes[x] if x in term else 1 for x in result) for term in (first, second))
    return Broadcast(left, right)


def _is_part(term: str, result: str) -> bool:
    """Whether a tensor's letters stand in the result in the same order."""
    return [letter for letter in result if letter in term] == list(term)


def _as_matmul(first: str, second: str, result: str, sizes: Mapping[str, int]) -> MatMul | None:
    shared = "".join(letter for letter in first if letter in second)
    mine = "".join(letter for letter in first if letter not in shared)
    yours = "".join(letter for letter in second if letter not in shared)
    if not shared or any(letter in result for letter in shared) or result not in (mine + yours, yours + mine):
        return None
    if first not in (mine + shared, shared + mine) or second not in (shared + yours, yours + shared):
        return None
    m, s, n = (_count(letters, sizes) for letters in (mine, shared, yours))
    turn_left, turn_right = first != mine + shared, second != shared + yours
    left, right = (s, m) if turn_left else (m, s), (n, s) if turn_right else (s, n)
    return MatMul(
        None if len(first) == 2 and len(shared) == 1 else left,
        None if len(second) == 2 and len(shared) == 1 else right,
        turn_left,
        turn_right,
        None if len(mine) == len(yours) == 1 else tuple(sizes[x] for x in result),
        swap=result != mine + yours,
    )
