"""An entry that was refused in, what can be said of it all the same out: its patterns, and every word of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lightning_tying.errors import Location
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nodes import Entry, Refused
from lightning_tying.spec.patterns import Pattern, read_pattern
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree

_WORD = re.compile(r"[A-Za-z_]\w*")


def salvage(tree: Tree, place: Location, entry: Entry | None = None) -> Refused:
    """What can be read of an entry that has a mistake.

    Args:
        tree: the item as it stands in the file.
        place: of the entry.
        entry: what was made of it, where only the rest of the file speaks against it.
    """
    patterns = tuple(pattern for text in _pattern_texts(tree) for pattern in _try_pattern(text))
    return Refused(patterns, words_of_tree(tree), entry, place)


def words_of_tree(tree: Tree) -> frozenset[str]:
    """Every word of every text: all that an entry may name."""
    return frozenset(word for text in _texts(tree) for word in _WORD.findall(text))


def _texts(tree: Tree) -> Iterator[str]:
    match tree:
        case Leaf(value=str() as text):
            yield text
        case Leaf():
            return
        case Items(items=items):
            for item in items:
                yield from _texts(item)
        case Fields(fields=fields):
            for field in fields:
                yield field.key
                yield from _texts(field.value)


def _pattern_texts(tree: Tree) -> Iterator[str]:
    if isinstance(tree, Leaf):
        if isinstance(tree.value, str):
            yield tree.value.partition("=")[0].strip()
    elif isinstance(tree, Fields):
        for key in ("sites", "tie"):
            yield from _texts(tree.find(key) or Items((), tree.location))


def _try_pattern(text: str) -> Iterator[Pattern]:
    try:
        yield read_pattern(text)
    except Mistake:
        return
