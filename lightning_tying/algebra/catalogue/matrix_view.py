"""A shape in; it read as a matrix out, d0 rows and all other cells in columns."""

from __future__ import annotations

import math

from lightning_tying.algebra.expression import Shape
from lightning_tying.algebra.partial_shapes import Partial, Shapes, is_whole, whole
from lightning_tying.spec.mistakes import Mistake


def as_matrix(shape: Shape) -> tuple[int, int]:
    """The rows and columns of a tensor with two dimensions or more."""
    return shape[0], math.prod(shape[1:])


def known_matrix(shape: Partial) -> tuple[int | None, int | None]:
    """The same of a shape that is known in part; None where it does not say."""
    if not shape:
        return None, None
    return shape[0], math.prod(whole(shape[1:])) if is_whole(shape[1:]) else None


def check_two_dimensions(function: str, shapes: Shapes, site: str) -> None:
    """Refuse a vector where a matrix is needed.

    Raises:
        Mistake: 63.
    """
    shape = whole(shapes.value)
    if len(shape) < 2:
        advice = "Write where: ndim >= 2, or another equation for it."
        raise Mistake("63", f"{function} needs two dimensions; {site} is {list(shape)}. {advice}")


def check_matrix(function: str, shapes: Shapes, site: str) -> None:
    """Refuse what is no matrix.

    Raises:
        Mistake: 63.
    """
    shape = whole(shapes.value)
    if len(shape) != 2:
        advice = "Write where: ndim == 2, or another equation for it."
        raise Mistake("63", f"{function} needs two dimensions; {site} is {list(shape)}. {advice}")


def find_dimension(function: str, dim: int, shape: Shape, site: str) -> int:
    """A dimension counted from 0, where one from the end may be written.

    Raises:
        Mistake: 63, the tensor has no such dimension.
    """
    if not -len(shape) <= dim < len(shape):
        raise Mistake("63", f"{function} needs a dimension {dim}; {site} is {list(shape)}.")
    return dim % len(shape)
