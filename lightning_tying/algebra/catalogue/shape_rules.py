"""What shape rules of several functions have in common: dimensions, arguments of the right kind, words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lightning_tying.algebra.partial_shapes import Partial, meet, open_shape, replace_at
from lightning_tying.spec.mistakes import Mistake

_WORDS = {1: "one dimension", 2: "two dimensions"}


def write_partial(partial: Partial) -> str:
    """`[64, _]`: an open size is shown as it is declared."""
    if partial is None:
        return "[…]"
    return f"[{', '.join('_' if size is None else str(size) for size in partial)}]"


def write_names(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`; each once."""
    unique = list(dict.fromkeys(names))
    return " and ".join([", ".join(unique[:-1]), unique[-1]] if len(unique) > 1 else unique)


def one_size(dimensions: int, dim: int, size: int | None) -> Partial:
    """A shape of which one size is known."""
    return tuple(size if place == dim else None for place in range(dimensions))


def share_other_sizes(tensors: Sequence[Partial], dim: int, function: str, site: str) -> tuple[Partial, ...]:
    """Tensors whose shapes are equal but for one dimension, each with what the others know.

    Raises:
        ShapeClash: they cannot be so.
        Mistake: 63, there is no such dimension.
    """
    known = next((tensor for tensor in tensors if tensor is not None), None)
    if known is None:
        return tuple(tensors)
    dim = find_dimension(function, dim, known, site)
    rest: Partial = open_shape(len(known))
    for tensor in tensors:
        fits = tensor is not None and len(tensor) == len(known)
        rest = meet(rest, replace_at(tensor or (), dim, None) if fits else tensor)
    sizes = rest or ()
    return tuple(replace_at(sizes, dim, None if tensor is None else tensor[dim]) for tensor in tensors)


def need_dimensions(
    function: str, partial: Partial, count: int, site: str, *, more: bool = False, operand: str = ""
) -> None:
    """Refuse a value or an operand with another number of dimensions.

    Args:
        function: as it is written.
        partial: of its value, or its operand.
        count: how many it needs.
        site: the FQN.
        more: whether it may have more.
        operand: the name of the operand, where it is not the value.

    Raises:
        Mistake: 63.
    """
    if partial is None or len(partial) == count or (more and len(partial) > count):
        return
    sign = ">=" if more else "=="
    needed = f"{_WORDS[count]} or more" if more and count > 1 else _WORDS[count]
    text = f"{function} needs {needed}; {operand or site} is {write_partial(partial)}."
    if operand:
        raise Mistake("63", text)
    raise Mistake("63", f"{text} Write where: ndim {sign} {count}, or another equation for it.")


def find_dimension(function: str, dim: int, partial: Sequence[int | None], site: str) -> int:
    """The number of a dimension from the front.

    Raises:
        Mistake: 63, there is none.
    """
    if not -len(partial) <= dim < len(partial):
        raise Mistake("63", f"{function} at {site}: {write_partial(tuple(partial))} has no dimension {dim}.")
    return dim % len(partial)


def need_whole(function: str, name: str, value: object, least: int | None = None) -> int:
    """An argument that must be a whole number.

    Raises:
        Mistake: 48.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise Mistake("48", f"{function}: {name} is {value!r}, not a whole number.")
    if least is not None and value < least:
        raise Mistake("48", f"{function}: {name} is {value}; it is {least} or more.")
    return value


def need_wholes(function: str, name: str, values: object) -> tuple[int, ...]:
    """An argument that must be a list of whole numbers.

    Raises:
        Mistake: 48.
    """
    if not isinstance(values, (tuple, list)):
        raise Mistake("48", f"{function}: {name} is {values!r}, not a list of whole numbers.")
    return tuple(need_whole(function, name, value) for value in cast("Sequence[object]", values))
