"""Names of shared parameters in; names that mean one parameter each, and expressions under new names out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lightning_tying.algebra.expression import (
    Call,
    Expression,
    ParameterName,
    Read,
    with_children,
)


def choose_names(found: Iterable[tuple[int, ParameterName]]) -> dict[int, ParameterName]:
    """One name for each parameter, no two alike.

    Args:
        found: the number of a parameter and a name that it has somewhere; specs that tie parts of one model may use
            one name for two parameters, or two names for one.
    """
    names: dict[int, ParameterName] = {}
    taken: set[ParameterName] = set()
    for number, name in found:
        if number in names:
            continue
        free, count = name, 1
        while free in taken:
            count += 1
            free = _number_name(name, count)
        names[number] = free
        taken.add(free)
    return names


def rename_parameters(node: Expression, names: Mapping[ParameterName, ParameterName]) -> Expression:
    """The same expression under other names; slots are those of the old ones."""
    changed = any(old != new for old, new in names.items())
    return _rename(node, names) if changed else node


def _rename(node: Expression, names: Mapping[ParameterName, ParameterName]) -> Expression:
    if isinstance(node, Read):
        return replace(node, parameter=names[node.parameter])
    renamed = with_children(node, tuple(_rename(part, names) for part in node.children))
    if isinstance(renamed, Call):
        return replace(renamed, own=tuple(replace(one, parameter=names[one.parameter]) for one in renamed.own))
    return renamed


def _number_name(name: ParameterName, count: int) -> ParameterName:
    """`W_2` for a second `W`; what a function brings keeps the function's name, and gets one more place."""
    if "." in name.family:
        return ParameterName(name.family, (*name.index, count))
    return ParameterName(f"{name.family}_{count}", name.index)
