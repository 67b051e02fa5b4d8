"""The base of every function of the language: its arguments, its shapes, what it is made of, and how it fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from lightning_tying.algebra.partial_shapes import Partial, Shapes
from lightning_tying.algebra.primitives.custom import Custom
from lightning_tying.algebra.primitives.node import Node


@dataclass(frozen=True)
class OwnParameter:
    """A parameter that a function brings.

    Args:
        name: `A`.
        init: the text of its initial value (section 8 of the language reference), `variance` or `solved` (by `solve`).
    """

    name: str
    init: str = "zeros"


@dataclass(frozen=True)
class Known:
    """What a fit may use: None stands for a parameter (or an operand that reads one) that is not settled yet.

    Args:
        operands: values of the tensor arguments.
        own: values of what the call brings, in the order of `brings`.
    """

    operands: tuple[Tensor | None, ...]
    own: tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Solution:
    """What a fit found: None where it says nothing (a settled one, or one that has no fit).

    Args:
        operands: what the operands should be; the solver goes on into each.
        own: values of what the call brings.
    """

    operands: tuple[Tensor | None, ...]
    own: tuple[Tensor | None, ...]


class Transform(ABC):
    """One function, made with the arguments of one call: `LowRank(r=8)`.

    A class is registered with `register_transform(name, cls)`, or written in a spec by its import path. Its
    `__init__` takes the arguments that are no tensors, by name; their defaults are the language's. An instance is
    cheap, holds plain data only, and is made again wherever it is needed.

    Attributes:
        operands: the names of the tensor arguments; a last `"…"` says that the one before may be repeated.
        brings: the parameters of its own, which an index after the call shares.
        sliced: whether its first operand is a stack whose slices along the first dimension are drawn one by one.
        fixed_map: whether it makes a map or numbers from a seed and a key, which an index shares as well.
    """

    operands: ClassVar[tuple[str, ...]] = ("x",)
    brings: ClassVar[tuple[OwnParameter, ...]] = ()
    sliced: ClassVar[bool] = False
    fixed_map: ClassVar[bool] = False

    @abstractmethod
    def infer(self, shapes: Shapes, site: str) -> Shapes:
        """What follows for all shapes of a call from what is known of some of them; called until nothing new follows.

        Args:
            shapes: what is known.
            site: the FQN of the site, for messages.

        Returns:
            At least as much; `meet` joins what two rules say.

        Raises:
            ShapeClash: two rules contradict each other.
            Mistake: with a better text: 60, 62 to 70 of the language reference.
        """

    def least(self, shapes: Shapes, site: str) -> tuple[Partial, ...]:
        """For each operand the least sizes it must have where `infer` leaves them open (`rows`, `gather`, `slice`).

        An open size becomes the largest that any use needs. None, or a None inside, asks for nothing.
        """
        del site
        return tuple(None for _ in shapes.operands)

    def divide(self, shapes: Shapes, site: str) -> Shapes:
        """The last resort before `least`: choose among what is open (the parts of a `concat` take equal shares)."""
        del site
        return shapes

    def check(self, shapes: Shapes, site: str) -> None:
        """Refuse what only whole shapes show (63, 64, 66 to 68, 70, 75, 77); nothing, where a function does not care.

        Raises:
            Mistake: with its number in the language reference.
        """
        del shapes, site

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        """The call as a composition of the six primitives.

        Args:
            operands: the tensor arguments.
            own: what the call brings.
            shapes: all whole.
            key: of the fixed map.

        Returns:
            By default a `map` over all of them that calls `forward`, for a transform of one's own.
        """
        del key
        return Custom(self, (*operands, *own), len(operands), shapes)

    def forward(self, operands: Sequence[Tensor], own: Sequence[Tensor], shapes: Shapes) -> Tensor:
        """The value; only for a transform that does not `expand`. Differentiable, without side effects."""
        raise NotImplementedError(f"{type(self).__name__} has neither expand nor forward.")

    def operand_init(self, place: int) -> str | None:
        """The default initial value of a parameter named as this operand which no site reads as it is; None: first."""
        del place
        return None

    def solve(self, target: Tensor, known: Known, shapes: Shapes, key: str) -> Solution | None:
        """Operands and own parameters for which the value is `target`, as nearly as can be.

        None leaves it to the fit of the primitives that `expand` gives.
        """
        del target, known, shapes, key
        return None

    def solve_joint(
        self, targets: Sequence[Tensor], shapes: Shapes, whitening: Tensor | None
    ) -> tuple[Tensor, Sequence[Tensor]] | None:
        """`svd_joint`: one first operand for all targets, and the first own parameter of each.

        Args:
            targets: what the sites that read the operand have, in model order.
            shapes: of one of the calls.
            whitening: L of L Lᵀ = Σ XᵀX over the sites; None without calibration.

        Returns:
            None where the function has no such fit.
        """
        del targets, shapes, whitening
        return None

    def arguments(self) -> Mapping[str, object]:
        """The arguments it was made with, for messages and comparison."""
        return vars(self)
