"""Numbers that are computed from a seed or from sizes, never learned and never stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.primitives.node import Inputs, Node


class Recipe(Protocol):
    """What numbers are computed from: frozen plain data, equal for equal numbers."""

    def __hash__(self) -> int: ...

    def make(self, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The numbers on the CPU, computed in float64 whatever the dtype; indices in int64."""
        ...


@dataclass(frozen=True, eq=False)
class _Made:
    """Something that a weak dictionary can hold."""

    tensors: tuple[Tensor, ...]


_SHARED: WeakValueDictionary[tuple[Recipe, torch.dtype, torch.device], _Made] = WeakValueDictionary()


@final
class FixedNumbers:
    """The tensors of a recipe, made on first need for a dtype and device and shared with equal recipes.

    Only those of the last dtype and device are kept; a copy and a pickle hold the recipe alone.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._made: dict[tuple[torch.dtype, torch.device], _Made] = {}

    def get(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
        """The numbers, kept for the next call."""
        found = self._made.get((dtype, device))
        if found is None:
            found = _make(self.recipe, dtype, device)
            self._made = {(dtype, device): found}
        return found.tensors

    def __getstate__(self) -> dict[str, Any]:
        return {"recipe": self.recipe, "_made": {}}


def _make(recipe: Recipe, dtype: torch.dtype, device: torch.device) -> _Made:
    found = _SHARED.get((recipe, dtype, device))
    if found is None:
        with torch.inference_mode(False), torch.no_grad():  # an inference tensor could never enter a training step
            found = _Made(tuple(numbers.to(device) for numbers in recipe.make(dtype)))
        _SHARED[recipe, dtype, device] = found
    return found


@final
class Fixed(Node):
    """A leaf of fixed numbers.

    Args:
        shape: of the numbers.
        recipe: makes one tensor of that shape.
    """

    def __init__(self, shape: Shape, recipe: Recipe) -> None:
        super().__init__(shape)
        self.numbers = FixedNumbers(recipe)

    def forward(self, inputs: Inputs) -> Tensor:
        dtype, device = dtype_and_device(inputs)
        if device.type == "meta":
            return torch.empty(self.shape, dtype=dtype, device=device)
        return self.numbers.get(dtype, device)[0]

    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        del target, known
        return []

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        if device.type != "meta":
            self.numbers.get(dtype, device)


def dtype_and_device(inputs: Inputs) -> tuple[torch.dtype, torch.device]:
    """What a program computes in: the dtype that its slots have together, on their device."""
    if not inputs.slots:
        return torch.float64, torch.device("cpu")
    first = inputs.slots[0]
    dtype = first.dtype
    for slot in inputs.slots:
        if slot.dtype != dtype:
            dtype = torch.promote_types(dtype, slot.dtype)
    return dtype, first.device
