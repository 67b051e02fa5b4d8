"""Why a pattern matches nothing that can be bound, and what was probably meant (errors 25 to 28, 31, 36 to 38)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from lightning_tying.errors import Location
from lightning_tying.graph.inventory import Inventory, Unbindable
from lightning_tying.graph.matching.nearest_site import name_nearest_site
from lightning_tying.graph.matching.site_index import SiteIndex
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.patterns import Captures, Hole, Pattern, read_pattern

SHOWN_NAMES = 6


class Finding(NamedTuple):
    """A mistake on its way to the report: number, place, text."""

    code: str
    location: Location
    text: str


def explain_no_match(
    pattern: Pattern, inventory: Inventory, root: str, index: SiteIndex, location: Location
) -> Finding:
    """What is at the pattern's place instead of a site; at worst the site whose name is nearest."""
    buffer = _find_name(pattern, inventory.buffers, root)
    if buffer is not None:
        return Finding("28", location, f"`{buffer}` is a buffer; buffers stay each module's own.")
    module = _find_name(pattern, inventory.modules, root)
    if module is not None:
        return Finding("27", location, _explain_module(pattern, module, index))
    elsewhere = _find_root(pattern, inventory, root, index)
    if elsewhere is not None:
        name, count = elsewhere
        text = f"`{pattern.text}` matches no site, but it would match {count} under `{name}`. Write root: {root}{name}."
        return Finding("26", location, text)
    near = name_nearest_site(pattern, index.names)
    nearest = f" Nearest: {near}." if near is not None else ""
    return Finding("25", location, f"`{pattern.text}` matches no site.{nearest}")


def explain_unbindable(unbindable: Unbindable, fqn: str, root: str, location: Location) -> Finding:
    """Errors 36 to 38: there is a tensor under this name, but no equation can bind it."""
    if unbindable.reason == "parametrized":
        first, *others = (name.removeprefix(root) for name in unbindable.originals)
        originals = " and ".join((first, *(name.rpartition(".")[2] for name in others)))
        text = f"{fqn} is already a parametrization. Remove it first, or bind {originals}."
        return Finding("36", location, text)
    if unbindable.reason == "lazy":
        text = f"{fqn} has no shape yet (nn.{unbindable.detail}). Run one batch through the module first."
        return Finding("37", location, text)
    kind = "dense" if unbindable.reason == "layout" else "floating-point"
    text = f"{fqn} is {unbindable.detail}; only {kind} parameters can be shared."
    return Finding("38", location, text)


def list_unmatched_alternatives(
    pattern: Pattern, captured: Sequence[Captures], index: SiteIndex
) -> Iterator[tuple[Hole, str, str | None]]:
    """Every alternative of a hole that no site took, with the nearest text that stands there in some FQN."""
    for hole in pattern.holes:
        if not hole.alternatives:
            continue
        taken = {str(captures[hole.name]) for captures in captured}
        for alternative in hole.alternatives:
            if not any(_takes(alternative, text) for text in taken):
                yield hole, alternative, nearest_name(alternative, _list_texts(pattern, hole, index))


def _takes(alternative: str, text: str) -> bool:
    written = ".*".join(re.escape(part) for part in alternative.split("*"))
    return re.fullmatch(f"0*{written}" if text.isdigit() else written, text) is not None or (
        alternative.isdigit() and text.isdigit() and int(alternative) == int(text)
    )


def _list_texts(pattern: Pattern, hole: Hole, index: SiteIndex) -> list[str]:
    """What stands at a hole's place when it may hold anything."""
    open_hole = "{" + hole.name + "}"
    try:
        loose = read_pattern(pattern.text.replace(hole.text, open_hole))
    except Mistake:
        return []
    texts = {str(captures[0][hole.name]): None for _, captures in index.find(loose)}
    return list(texts)


def _find_name(pattern: Pattern, names: Iterable[str], root: str) -> str | None:
    relative = (name[len(root) :] for name in names if name.startswith(root) and len(name) > len(root))
    return next((name for name in relative if pattern.match(name)), None)


def _explain_module(pattern: Pattern, module: str, index: SiteIndex) -> str:
    parameters = index.list_names(f"{module}.")
    if not parameters:
        return f"`{module}` is a module without parameters of its own."
    shown = ", ".join(parameters[:SHOWN_NAMES]) + (", …" if len(parameters) > SHOWN_NAMES else "")
    first = parameters[0].removeprefix(module)
    written = f"{pattern.text}{first}, or " if len(parameters) == 1 else ""
    return f"`{module}` is a module. Its parameters: {shown}. Write {written}{pattern.text}.{{name*}}."


def _find_root(pattern: Pattern, inventory: Inventory, root: str, index: SiteIndex) -> tuple[str, int] | None:
    """The first module one or two levels down under which the pattern matches, and how many sites it matches there."""
    for module in inventory.modules:
        relative = module.removeprefix(root)
        if not relative or not module.startswith(root) or relative.count(".") > 1:
            continue
        start = f"{relative}."
        count = sum(1 for name in index.list_names(start + pattern.prefix) if pattern.match(name[len(start) :]))
        if count:
            return relative, count
    return None
