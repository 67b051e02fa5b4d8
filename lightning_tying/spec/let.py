"""The section `let` of a file and the caller's replacements in, names with plain values out."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_tying.errors import Location
from lightning_tying.spec.findings import Findings
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import check_name
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.nodes import LetValue
from lightning_tying.spec.scalar_grammar import LARGEST
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree, kind_of, tree_of_data


def read_let(tree: Tree | None, found: Findings) -> dict[str, LetValue]:
    """Read `let`: numbers, texts, lists and mappings of them under names."""
    if tree is None or (isinstance(tree, Leaf) and tree.value is None):
        return {}
    if not isinstance(tree, Fields):
        found.add(tree.location, "7", f"`let` is a mapping of names, and this is {kind_of(tree)}.")
        return {}
    values: dict[str, LetValue] = {}
    for field in tree.fields:
        place = Location(field.location.source, field.location.line, f"let.{field.key}")
        with found.at(place):
            check_name(field.key)
        with found.at(place):
            values[field.key] = _read_value(field.key, field.value)
        values.setdefault(field.key, 0)  # known, so that its uses are not found as well
    return values


def replace_let(
    let: Mapping[str, LetValue], replacements: Mapping[str, LetValue], source: str | None, found: Findings
) -> dict[str, LetValue]:
    """Put the caller's values in the place of the file's; a name that the file does not have is found."""
    replaced = dict(let)
    for name, value in replacements.items():
        place = Location(source, None, f"let.{name}")
        if name not in let:
            known = ", ".join(let) or "none"
            found.add(place, "46", f"`{name}` is not a name of let.{suggest(name, let)} Known: {known}.")
            continue
        with found.at(place):
            tree = tree_of_data(value, source, found.problems)
            replaced[name] = _read_value(name, tree)
    return replaced


def _read_value(name: str, tree: Tree) -> LetValue:
    match tree:
        case Items(items=items):
            return [_read_value(name, item) for item in items]
        case Fields(fields=fields):
            return {field.key: _read_value(name, field.value) for field in fields}
        case Leaf(value=value):
            if value is None:
                raise Mistake(
                    "7", f"`{name}` of let has no value. Write a number, a text, a list or a mapping of them."
                )
            if isinstance(value, int) and abs(value) > LARGEST:
                raise Mistake("7", f"`{name}` of let is too large: whole numbers stay within ±2⁶³.")
            return value
