"""Nodes of the tree in, texts, numbers and patterns out; what has the wrong type is found with error 7, 11 or 84."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from lightning_tying.errors import Location
from lightning_tying.spec.findings import Findings
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.patterns import Pattern, read_pattern
from lightning_tying.spec.scalars import Scalar, read_scalar
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree, kind_of
from lightning_tying.spec.yaml_text import quote_yaml


def read_text(tree: Tree, key: str) -> str:
    """The text that a key has.

    Raises:
        Mistake: 7, with the line to write where quotes are all that it needs.
    """
    if isinstance(tree, Leaf) and isinstance(tree.value, str):
        return tree.value
    if isinstance(tree, Leaf) and tree.value is not None:
        advice = f" Write {key}: {quote_yaml(tree.written)}"
        raise Mistake("7", f"`{key}` is a text, and {tree.written} is {kind_of(tree)} in YAML.{advice}")
    if isinstance(tree, Leaf):
        raise Mistake("7", f"`{key}` has no value.")
    raise Mistake("7", f"`{key}` is a text, and this is {kind_of(tree)}.")


def read_patterns(tree: Tree, key: str, found: Findings, place: Location) -> tuple[Pattern, ...]:
    """A pattern or a list of patterns; those that cannot be read are found and left out."""
    parts = tree.items if isinstance(tree, Items) else (tree,)
    if not parts:
        found.add(place, "7", f"`{key}` has no pattern.")
    patterns: list[Pattern] = []
    for part in parts:
        with found.at(Location(place.source, part.location.line, place.path)):
            patterns.append(read_pattern(read_text(part, key)))
    return tuple(patterns)


def read_scalar_field(tree: Tree, key: str) -> Scalar:
    """A scalar, as text or as a plain number.

    Raises:
        Mistake: 7, and what `read_scalar` raises.
    """
    if isinstance(tree, Leaf) and isinstance(tree.value, (bool, int, float)):
        return read_scalar(repr(tree.value))
    return read_scalar(read_text(tree, key))


def read_flag(tree: Tree, key: str) -> bool:
    """True or false.

    Raises:
        Mistake: 84.
    """
    if isinstance(tree, Leaf) and isinstance(tree.value, bool):
        return tree.value
    raise Mistake("84", f"`{key}` is true or false, not {show(tree)}.")


def read_factor(tree: Tree, key: str) -> float:
    """A number of 0 or more.

    Raises:
        Mistake: 84.
    """
    value = tree.value if isinstance(tree, Leaf) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise Mistake("84", f"`{key}` is a number of 0 or more, not {show(tree)}.")
    return float(value) if abs(value) < 1e300 else 1e300


def show(tree: Tree) -> str:
    """A value as it stands in the file, for a message."""
    if not isinstance(tree, Leaf):
        return kind_of(tree)
    return quote_yaml(tree.value) if isinstance(tree.value, str) else tree.written or "null"


def check_options(what: str, fields: Fields, known: Sequence[str], found: Findings, place: Location) -> bool:
    """Find every unknown key of an entry or a policy (error 11); whether there was none."""
    unknown = [field for field in fields.fields if field.key not in known]
    for field in unknown:
        hint = suggest(field.key, known)
        at = Location(place.source, field.location.line, place.path)
        found.add(at, "11", f"{what} has no option `{field.key}`.{hint} Known: {', '.join(known)}.")
    return not unknown


def list_known(names: Iterable[str]) -> str:
    """Names for a message, or `none`."""
    return ", ".join(names) or "none"
