"""A path, YAML text or a mapping in, all that a spec says out, with every mistake of the file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning_tying.errors import Location, Problem
from lightning_tying.spec.checks import check_spec
from lightning_tying.spec.entries import read_entry
from lightning_tying.spec.fields import read_text
from lightning_tying.spec.findings import Findings
from lightning_tying.spec.let import read_let, replace_let
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.nodes import Entry, LetValue, Refused, SpecContent
from lightning_tying.spec.pattern_parts import Text
from lightning_tying.spec.pattern_reader import read_parts
from lightning_tying.spec.policies import read_policies
from lightning_tying.spec.refused import salvage, words_of_tree
from lightning_tying.spec.sources import Source, read_source
from lightning_tying.spec.syncs import read_syncs
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree, kind_of
from lightning_tying.spec.yaml_text import quote_yaml

VERSION = 1
MAX_ENTRIES = 10_000
KEYS = ("version", "root", "let", "share", "parameters", "sync")


def read_spec(
    source: Source, *, let: Mapping[str, LetValue] | None = None, file: Path | str | None = None
) -> SpecContent:
    """Read and check a spec as far as no model is needed.

    Args:
        source: a path, YAML text, a mapping, or content that has been read.
        let: values in the place of those of the file's `let`.
        file: the file that a text or a mapping was taken from, for messages and for paths in the spec.

    Returns:
        What could be read. `problems` has every mistake; the entries that have one are left out, and all entries
        where a mistake above them (`root`, `let`, the file) leaves no entry its meaning.
    """
    found = Findings()
    if not isinstance(source, SpecContent):
        return _read_content(source, let or {}, file, found)
    if not let:
        return source
    content = replace(source, let=replace_let(source.let, let, None, found))
    entries = () if found.problems else content.entries
    return replace(content, entries=entries, problems=(*content.problems, *found.problems))


def _read_content(
    source: Path | str | Mapping[str, Any], let: Mapping[str, LetValue], file: Path | str | None, found: Findings
) -> SpecContent:
    given = read_source(source, file, found.problems)
    tree = given.tree
    if isinstance(tree, Leaf) and tree.value is None:
        tree = Fields((), tree.location)
    if not isinstance(tree, Fields):
        text = f"A spec is a mapping with the keys {', '.join(KEYS)}, and this is {kind_of(tree)}."
        found.add(_first_line(tree.location, given.name), "9", text)
        return SpecContent((), problems=tuple(found.problems))
    for field in tree.fields:
        if field.key not in KEYS:
            text = f"Unknown key `{field.key}`.{suggest(field.key, KEYS)} Known: {', '.join(KEYS)}."
            found.add(_key_location(tree, field.key), "9", text)
    with found.at(_key_location(tree, "version")):
        _check_version(tree.find("version"))
    values = read_let(tree.find("let"), found)
    values = replace_let(values, let, given.name, found)
    root = ""
    with found.at(_key_location(tree, "root")):
        root = _read_root(tree.find("root"))
    items = _find_items(tree, found)
    names = frozenset(values)
    unread = _spoiled_entries(found)
    read = [_read_item(item, names, found, _entry_place(item.location, i), unread) for i, item in enumerate(items)]
    entries, refused = _part_entries(items, read, found)
    policies = read_policies(tree.find("parameters"), found)
    syncs = read_syncs(tree.find("sync"), found)
    check_spec(entries, refused, policies, names, found)
    entries, refused = _part_entries(items, read, found)
    if not _leaves_meaning(found.problems):
        entries, syncs = (), ()
    return SpecContent(
        entries=entries,
        root=root,
        let=values,
        parameters=policies,
        syncs=syncs,
        version=VERSION,
        folder=given.folder,
        warnings=tuple(found.warnings),
        problems=tuple(found.problems),
        refused=refused,
        root_location=_key_location(tree, "root"),
    )


def _read_item(
    item: Tree, names: frozenset[str], found: Findings, place: Location, unread: frozenset[str]
) -> Entry | None:
    """An entry; nothing of one that holds a Python object, which would be told a second time as a missing value."""
    if place.line is None and place.path in unread:
        return None
    return read_entry(item, names, found, place)


def _part_entries(
    items: Sequence[Tree], read: Sequence[Entry | None], found: Findings
) -> tuple[tuple[Entry, ...], tuple[Refused, ...]]:
    """The entries without a mistake, and what can be said of the others."""
    entries: list[Entry] = []
    refused: list[Refused] = []
    spoiled = _spoiled_entries(found)
    names = frozenset(_let_name(problem.location.path) for problem in found.problems) - {""}
    for number, (item, entry) in enumerate(zip(items, read, strict=True)):
        place = _entry_place(item.location, number)
        if entry is None or place.path in spoiled or (names and not names.isdisjoint(words_of_tree(item))):
            refused.append(salvage(item, place, entry))
        else:
            entries.append(entry)
    return tuple(entries), tuple(refused)


def _spoiled_entries(found: Findings) -> frozenset[str]:
    """The entries in which mistakes lie, as `share[2]`."""
    inside = (re.match(r"share\[[0-9]+\]", problem.location.path) for problem in found.problems)
    return frozenset(match[0] for match in inside if match)


def _let_name(path: str) -> str:
    section, _, name = path.partition(".")
    return re.split(r"[.\[]", name)[0] if section == "let" else ""


def _leaves_meaning(problems: Sequence[Problem]) -> bool:
    """Whether the entries without a mistake mean what they say: not so with a wrong version or root."""
    tops = {re.split(r"[.\[]", problem.location.path)[0] for problem in problems}
    return tops.isdisjoint(("", "version", "root"))


def _first_line(location: Location, name: str | None) -> Location:
    return Location(name, location.line, location.path)


def _key_location(tree: Fields, key: str) -> Location:
    found = next((field.location for field in tree.fields if field.key == key), tree.location)
    return Location(found.source, found.line, key)


def _check_version(tree: Tree | None) -> None:
    if tree is None or (isinstance(tree, Leaf) and tree.value == VERSION and type(tree.value) is int):
        return
    shown = kind_of(tree) if not isinstance(tree, Leaf) else tree.written or "null"
    shown = quote_yaml(shown) if isinstance(tree, Leaf) and isinstance(tree.value, str) else shown
    raise Mistake("8", f"Version {shown} is not known; this release reads version {VERSION}.")


def _read_root(tree: Tree | None) -> str:
    if tree is None:
        return ""
    root = read_text(tree, "root")
    if not root:
        return root
    if any(not isinstance(part, Text) for part in read_parts(root)):
        raise Mistake("16", f"`root` is the FQN of one module, and {root} is a pattern.")
    return root


def _find_items(tree: Fields, found: Findings) -> Sequence[Tree]:
    share = tree.find("share")
    place = _key_location(tree, "share")
    if share is None or (isinstance(share, Leaf) and share.value is None) or share == Items((), share.location):
        if tree.find("sync") is not None:
            return ()
        if share is not None or not any(suggest(field.key, ("share",)) for field in tree.fields):
            found.add(place, "10", "`share` has no entry.")
        return ()
    if not isinstance(share, Items):
        found.add(place, "10", f"`share` is a list of entries, and this is {kind_of(share)}. Begin each with a dash.")
        return ()
    if len(share.items) > MAX_ENTRIES:
        found.add(place, "24", f"`share` has {len(share.items)} entries; at most {MAX_ENTRIES} are read.")
        return ()
    return share.items


def _entry_place(location: Location, number: int) -> Location:
    return Location(location.source, location.line, f"share[{number}]")
