"""`einsum`: tensors multiplied and summed by letters; undone by division, least squares or an SVD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.primitives.contraction import plan_contraction, split_formula
from lightning_tying.algebra.primitives.least_squares import Formula, solve_factor, split_product
from lightning_tying.algebra.primitives.node import Inputs, Node


@final
class Einsum(Node):
    """A contraction, computed pair by pair in the cheapest order.

    Args:
        formula: torch's letters, without `…`: `'or,ri->oi'`. An operand without letters is a number.
        operands: of shapes that agree with the letters.
    """

    def __init__(self, formula: str, operands: Sequence[Node]) -> None:
        self.formula = formula
        self.contraction = plan_contraction(formula, tuple(operand.shape for operand in operands))
        super().__init__(self.contraction.shape, operands)

    @property
    def summed(self) -> int:
        """The product of the sizes of the summed letters."""
        return self.contraction.summed

    def forward(self, inputs: Inputs) -> Tensor:
        values = [operand.forward(inputs) for operand in self.operands]
        return self.contraction.run(promote(values))

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Least squares in one open operand; two that make a matrix (`x @ y`, an outer product) are split by its SVD.

        Where nothing is summed (`*`, `scale`), each open operand is solved as if the others that are open were 1.
        """
        terms, output = split_formula(self.formula)
        formula = Formula(terms, output, tuple(operand.shape for operand in self.operands))
        settled = [None if value is None else value.to(target) for value in known]
        places = [place for place, value in enumerate(settled) if value is None]
        if len(places) == len(terms) == 2:
            split = split_product(formula, target)
            if split is not None:
                return [*split]
        if len(places) == 1 or set("".join(terms)) <= set(output):
            return [
                solve_factor(formula, target, settled, place) if place in places else None
                for place in range(len(terms))
            ]
        return [None] * len(terms)

    def multiply_adds(self) -> int:
        return self.contraction.multiply_adds + super().multiply_adds()


def promote(values: Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors in the dtype that torch would compute a product of numbers in; matrix products ask for one dtype."""
    dtype = values[0].dtype
    if all(value.dtype == dtype for value in values):
        return values
    for value in values:
        dtype = torch.promote_types(dtype, value.dtype)
    return [value.to(dtype) for value in values]
