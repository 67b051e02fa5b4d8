"""The value of a contraction and all its tensors but one in; that one out, so that the squared distance is least."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.fits.linear_algebra import cut_svd, invert
from lightning_tying.algebra.primitives.contraction import read_sizes


@dataclass(frozen=True)
class Formula:
    """A contraction.

    Args:
        terms: the letters of each tensor.
        output: the letters of the result.
        shapes: of the tensors.
    """

    terms: tuple[str, ...]
    output: str
    shapes: tuple[Shape, ...]

    @property
    def sizes(self) -> dict[str, int]:
        """The size of each letter."""
        return read_sizes(self.terms, self.shapes)


@dataclass(frozen=True)
class _Roles:
    """What each letter does when one tensor X of a contraction is wanted and the product K of the others is known.

    Args:
        batch: of X, K and the result: one system of equations for each.
        free: of X and the result: solved side by side.
        rows: of the result alone or with K: one equation for each.
        summed: of X and K: the unknowns.
        alone: of X alone: only their sum counts.
    """

    batch: list[str]
    free: list[str]
    rows: list[str]
    summed: list[str]
    alone: list[str]


def solve_factor(formula: Formula, target: Tensor, known: Sequence[Tensor | None], place: int) -> Tensor | None:
    """Solve one tensor of a contraction; the smallest solution where there are many.

    Args:
        formula: the contraction.
        target: what the result should be.
        known: the tensors; None, at other places than `place`, counts 1.
        place: which one is wanted.

    Returns:
        None where a letter stands twice in it.
    """
    wanted, sizes = formula.terms[place], formula.sizes
    if len(set(wanted)) != len(wanted):
        return None
    given = {i: value for i, value in enumerate(known) if i != place and value is not None}
    roles = _sort_letters(wanted, formula.output, {x for i in given for x in formula.terms[i]})
    others = _multiply(formula, given, [*roles.batch, *roles.rows, *roles.summed], target)
    if roles.rows or roles.summed:
        found = _solve_systems(roles, others, _arrange(target, formula.output, _equations(roles)), sizes)
    else:
        found = _divide(_arrange(target, formula.output, [*roles.free, *roles.batch]), others)
    fixed = [*roles.free, *roles.batch, *roles.summed]
    spread = found.reshape([*(sizes[x] for x in fixed), *(1 for _ in roles.alone)])
    spread = spread.expand([sizes[x] for x in [*fixed, *roles.alone]])
    return _arrange(spread, [*fixed, *roles.alone], wanted) / math.prod(sizes[x] for x in roles.alone)


def split_product(formula: Formula, target: Tensor) -> tuple[Tensor, Tensor] | None:
    """Split a matrix into two factors by its SVD: U√Σ and √ΣVᵀ, cut or filled with zeros to the inner size.

    Returns:
        None where the product is not one of two matrices (a letter of the result in both, or summed in one; a number).
    """
    left, right = formula.terms
    shared = [x for x in left if x in right]
    mine, yours = [x for x in left if x not in shared], [x for x in right if x not in shared]
    plain = len(set(left)) == len(left) and len(set(right)) == len(right)
    if not (mine and yours and plain) or sorted(formula.output) != sorted([*mine, *yours]):
        return None
    sizes = formula.sizes
    matrix = _arrange(target, formula.output, [*mine, *yours]).reshape(math.prod(sizes[x] for x in mine), -1)
    u, s, v = cut_svd(matrix, math.prod(sizes[x] for x in shared))
    root = s.sqrt()
    first = (u * root).reshape([sizes[x] for x in [*mine, *shared]])
    second = (root[:, None] * v).reshape([sizes[x] for x in [*shared, *yours]])
    return _arrange(first, [*mine, *shared], left), _arrange(second, [*shared, *yours], right)


def _sort_letters(wanted: str, output: str, others: set[str]) -> _Roles:
    return _Roles(
        batch=[x for x in output if x in wanted and x in others],
        free=[x for x in output if x in wanted and x not in others],
        rows=[x for x in output if x not in wanted],
        summed=[x for x in wanted if x not in output and x in others],
        alone=[x for x in wanted if x not in output and x not in others],
    )


def _equations(roles: _Roles) -> list[str]:
    return [*roles.batch, *roles.rows, *roles.free]


def _solve_systems(roles: _Roles, others: Tensor, target: Tensor, sizes: Mapping[str, int]) -> Tensor:
    """For each letter of `batch` the least squares of K X = target; with the letters free, batch, summed."""
    count = [math.prod(sizes[x] for x in group) for group in (roles.batch, roles.rows, roles.summed, roles.free)]
    system = others.reshape(count[0], count[1], count[2])
    solution = invert(system) @ target.reshape(count[0], count[1], count[3])
    return solution.reshape(count[0], count[2], count[3]).permute(2, 0, 1)


def _multiply(formula: Formula, given: Mapping[int, Tensor], letters: Sequence[str], like: Tensor) -> Tensor:
    """The product of the known tensors with exactly these letters; one that none of them has is repeated."""
    sizes, terms = formula.sizes, [formula.terms[i] for i in given]
    inside = "".join(x for x in letters if any(x in term for term in terms))
    product = torch.einsum(f"{','.join(terms)}->{inside}", *given.values()) if given else like.new_ones(())
    return product.reshape([sizes[x] if x in inside else 1 for x in letters]).expand([sizes[x] for x in letters])


def _divide(value: Tensor, divisor: Tensor) -> Tensor:
    """The quotient, 0 where the divisor is 0: there nothing can be reached, and 0 is the smallest."""
    zero = divisor == 0
    return torch.where(zero, torch.zeros_like(value), value / torch.where(zero, torch.ones_like(divisor), divisor))


def _arrange(value: Tensor, letters: Sequence[str], wanted: Sequence[str]) -> Tensor:
    places = list(letters)
    return value.permute([places.index(x) for x in wanted])
