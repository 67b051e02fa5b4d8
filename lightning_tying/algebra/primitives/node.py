"""A node of a program: tensors in, a tensor out; shapes are fixed, and a fit goes the way back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_tying.algebra.expression import Shape


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a program computes with.

    Args:
        slots: the shared parameters, by the number of their slot.
        training: whether dropout draws.
    """

    slots: Sequence[Tensor]
    training: bool = False


class Node(ABC):
    """One primitive with its operands; holds plain data and caches of fixed maps, no shared parameters.

    It pickles (caches are left out), and Dynamo traces `forward`.

    Args:
        shape: of its value.
        operands: what it reads, from left to right.
    """

    def __init__(self, shape: Shape, operands: Sequence[Node] = ()) -> None:
        self.shape = shape
        self.operands = tuple(operands)

    @abstractmethod
    def forward(self, inputs: Inputs) -> Tensor:
        """Its value."""

    @abstractmethod
    def fit(self, target: Tensor, known: Sequence[Tensor | None]) -> list[Tensor | None]:
        """What each operand should be so that the value is `target`, as nearly as can be.

        Args:
            target: of this node's shape, in float32 or float64.
            known: the value of each operand; None for one that reads a parameter which is not settled.

        Returns:
            For each operand what it should be; None for one that is settled, or where there is no fit.
        """

    def prepare(self, device: torch.device, dtype: torch.dtype) -> None:
        """Make fixed maps and numbers, here and below, for a device, so that a trace finds them there."""
        for operand in self.operands:
            operand.prepare(device, dtype)

    @property
    def is_random(self) -> bool:
        """Whether two forwards with equal inputs differ (dropout); such a value is never computed twice."""
        return any(operand.is_random for operand in self.operands)

    def multiply_adds(self) -> int:
        """How many multiplications with an addition one forward takes, those below included."""
        return sum(operand.multiply_adds() for operand in self.operands)
