"""`mix`: a weighted sum of templates (Savarese & Maire 2019; VB-LoRA, Li et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import ClassVar, final

import torch
from torch import Tensor

from lightning_tying.algebra.catalogue.scale import LETTERS
from lightning_tying.algebra.catalogue.stacked import split_rows, split_stack, unwhiten
from lightning_tying.algebra.partial_shapes import Shapes, is_whole, meet, whole
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.primitives.pointwise import Pointwise
from lightning_tying.algebra.primitives.reshaping import reshape_node
from lightning_tying.algebra.transform import OwnParameter, Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Mix(Transform):
    """`mix(x, k, softmax=False, top=None, block=None)`: v = Σ aⱼ xⱼ, of all cells or block by block.

    Args:
        k: how many templates x has.
        softmax: whether the coefficients, those that are kept, are the softmax of a.
        top: how many are kept, the largest; the others are 0.
        block: the cells of a template, where v is made of numel / block of them.
    """

    brings: ClassVar[tuple[OwnParameter, ...]] = (OwnParameter("a", "orthogonal_rows"),)
    sliced: ClassVar[bool] = True

    def __init__(self, k: int, softmax: bool = False, top: int | None = None, block: int | None = None) -> None:
        self.k = k
        self.softmax = softmax
        self.top = top
        self.block = block
        rule = "normal(0.01)" if top is not None else "zeros" if softmax else "orthogonal_rows"
        vars(self)["brings"] = (OwnParameter("a", rule),)  # the instance's own: the default follows the arguments

    def arguments(self) -> Mapping[str, object]:
        return {name: value for name, value in vars(self).items() if name != "brings"}

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        del site
        (x,), (a,) = shapes.operands, shapes.own
        value = shapes.value
        if self.block is not None:
            blocks = prod(whole(value)) // max(1, self.block) if value is not None and is_whole(value) else None
            return Shapes(value, (meet(x, (self.k, self.block)),), (meet(a, (blocks, self.k)),), shapes.names)
        if x:
            value = meet(value, x[1:])
        if value is not None:
            x = meet(x, (self.k, *value))
        return Shapes(value, (x,), (meet(a, (self.k,)),), shapes.names)

    def check(self, shapes: Shapes, site: str) -> None:
        if self.k < 1:
            raise Mistake("44", f"mix at {site}: k is {self.k}; it is 1 or more.")
        if self.top is not None and not 1 <= self.top <= self.k:
            raise Mistake("44", f"mix at {site}: top is {self.top}; of {self.k} it is 1 … {self.k}.")
        cells = prod(whole(shapes.value))
        if self.block is not None and (self.block < 1 or cells % self.block):
            raise Mistake("66", f"mix at {site}: {cells} cells are not a multiple of {self.block}.")

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del key
        coefficients = self._choose(own[0])
        value = whole(shapes.value)
        if self.block is not None:
            return reshape_node(Einsum("nj,jb->nb", (coefficients, operands[0])), value)
        cells = LETTERS[: len(value)]
        return Einsum(f"z,z{cells}->{cells}", (coefficients, operands[0]))

    def _choose(self, node: Node) -> Node:
        if self.top is not None and self.top < self.k:
            node = Pointwise("top", node, count=self.top, fill=float("-inf") if self.softmax else 0.0)
        return Pointwise("softmax", node, dim=-1) if self.softmax else node

    def operand_init(self, place: int) -> str:
        del place
        return "normal"

    def solve_joint(
        self, targets: Sequence[Tensor], shapes: Shapes, whitening: Tensor | None
    ) -> tuple[Tensor, Sequence[Tensor]] | None:
        """The right singular vectors of the stacked sites as templates.

        None where the coefficients are not free, or a block ends inside a row whose inputs are whitened.
        """
        value = whole(shapes.value)
        if self.softmax or self.top is not None:
            return None
        cells = prod(value) if self.block is None else self.block
        if whitening is not None:
            if cells % len(whitening):
                return None
            targets = [target.reshape(-1, len(whitening)) @ whitening.to(target) for target in targets]
        coefficients, templates = split_stack(torch.cat([target.reshape(-1, cells) for target in targets]), self.k)
        if whitening is not None:
            templates = unwhiten(templates.reshape(-1, len(whitening)), whitening)
        if self.block is None:
            return templates.reshape(self.k, *value), coefficients.unbind()
        counts = [target.numel() // cells for target in targets]
        return templates.reshape(self.k, cells), split_rows(coefficients, counts)
