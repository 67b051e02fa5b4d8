"""A class in, what we know of it out: which class a module had before any of its tensors was computed."""

from __future__ import annotations

from dataclasses import dataclass

_NAME = "_lightning_tying_class"


@dataclass(frozen=True, slots=True)
class ClassRecord:
    """An attribute of the class that we gave to one module.

    Args:
        stock: the class before.
        order: the names of the module's parameters then, so that a site gets its place back.
    """

    stock: type
    order: tuple[str, ...]


def find_record(kind: type) -> ClassRecord:
    """The record of a class of ours, or of one that a wrapper made of it.

    Raises:
        LookupError: there is none.
    """
    record = getattr(kind, _NAME, None)
    if not isinstance(record, ClassRecord):
        raise LookupError(f"{kind.__name__} is not a class of a module with computed tensors.")
    return record


def is_ours(kind: type) -> bool:
    """Whether this very class was made for one module of ours."""
    return _NAME in vars(kind)


def record_entry(record: ClassRecord) -> dict[str, object]:
    """What the namespace of a new class carries."""
    return {_NAME: record}
