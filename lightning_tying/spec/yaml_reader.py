"""YAML text in, a tree out in which every node knows its line; tags, anchors, aliases, double keys are refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
)

from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.spec.tree import MAX_LEVELS, TOO_DEEP, Field, Fields, Items, Leaf, Tree, kind_of
from lightning_tying.spec.yaml_errors import explain_beginning, explain_yaml_error
from lightning_tying.spec.yaml_text import quote_yaml, resolve_plain

MAX_BYTES = 1_000_000


def read_yaml(text: str, source: str | None, problems: list[Problem]) -> Tree:
    """Read YAML 1.2 of one document; nothing in it is ever made into a Python object.

    Args:
        text: of the file.
        source: the file's name, for messages.
        problems: what a reader can get over is appended here (errors 3, 4 and 7).

    Raises:
        SpecError: with one problem for text that is not YAML, is larger than 1 MB or deeper than 20 levels,
            or with all tags, anchors and aliases (errors 1, 2, 5, 6, 15).
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise SpecError([Problem("6", Location(source, 1), "The file is larger than 1 MB.")])
    text = text.removeprefix("\ufeff")
    builder = _TreeBuilder(source, text, problems)
    try:
        for event in _parse(text):
            builder.take(event)
    except yaml.YAMLError as error:
        raise SpecError(builder.refused or [explain_yaml_error(error, text, source)]) from None
    except RecursionError:
        raise SpecError([Problem("6", Location(source, 1), TOO_DEEP)]) from None
    if builder.refused:
        raise SpecError(builder.refused)
    return builder.root or Leaf(None, "", Location(source, 1))


def _parse(text: str) -> Iterator[Event]:
    """The events of a text: those of libyaml where PyYAML was built with it, which takes a tenth of the time.

    What libyaml refuses is read again by PyYAML's own parser, whose reasons `yaml_errors` explains.
    """
    if not yaml.__with_libyaml__:
        return yaml.parse(text, Loader=yaml.SafeLoader)
    try:
        return iter(list(yaml.parse(text, Loader=yaml.CSafeLoader)))
    except (yaml.YAMLError, UnicodeError):
        return yaml.parse(text, Loader=yaml.SafeLoader)


@dataclass
class _Open:
    """A list or a mapping whose end has not come yet; a mapping's keys and values stand in turn."""

    mapping: bool
    flow: bool
    location: Location
    nodes: list[Tree] = field(default_factory=list["Tree"])


class _TreeBuilder:
    """Takes the events of the parser one by one, so that no depth of nesting can exhaust the stack."""

    def __init__(self, source: str | None, text: str, problems: list[Problem]) -> None:
        self.root: Tree | None = None
        self.refused: list[Problem] = []
        self._source = source
        self._lines = text.splitlines()
        self._problems = problems
        self._open: list[_Open] = []

    def take(self, event: Event) -> None:
        place = Location(self._source, _row(event) + 1)
        if isinstance(event, DocumentStartEvent) and self.root is not None:
            self.refused.append(Problem("2", place, "A file holds one YAML document; `---` begins a second one."))
        if isinstance(event, NodeEvent):
            self._refuse_extras(event, place)
        if isinstance(event, AliasEvent):
            self._add(Leaf(None, f"*{event.anchor}", place))
        elif isinstance(event, ScalarEvent):
            plain = event.implicit[0] and not event.style
            self._add(Leaf(resolve_plain(event.value) if plain else event.value, event.value, place))
        elif isinstance(event, CollectionStartEvent):
            self._open.append(_Open(isinstance(event, MappingStartEvent), bool(event.flow_style), place))
            if len(self._open) > MAX_LEVELS:
                raise SpecError([Problem("6", place, TOO_DEEP)])
        elif isinstance(event, CollectionEndEvent):
            self._close(self._open.pop())

    def _refuse_extras(self, event: NodeEvent, place: Location) -> None:
        row = _row(event)
        line = self._lines[row] if row < len(self._lines) else ""
        tag: str | None = getattr(event, "tag", None)
        written: str | None = None
        if isinstance(event, AliasEvent):
            written = f"*{event.anchor}"
            end = event.end_mark.column if event.end_mark is not None else 0
            if line[end:].lstrip().startswith("="):
                code, text = explain_beginning(line) or ("1", f"`{written}` must be quoted.")
                self.refused.append(Problem(code, place, text))
                return
        elif event.anchor is not None:
            written = f"&{event.anchor}"
        elif tag is not None:
            written = tag.replace("tag:yaml.org,2002:", "!!")
        if written is not None:
            text = f"YAML tags, anchors and aliases are not read. Remove `{written}`."
            self.refused.append(Problem("5", place, text))

    def _add(self, tree: Tree) -> None:
        if self._open:
            self._open[-1].nodes.append(tree)
        elif self.root is None:
            self.root = tree

    def _close(self, opened: _Open) -> None:
        if not opened.mapping:
            self._add(Items(tuple(opened.nodes), opened.location))
            return
        pairs = list(zip(opened.nodes[::2], opened.nodes[1::2], strict=True))
        fields: list[Field] = []
        for key, value in pairs:
            if opened.flow and fields and isinstance(key, Leaf) and _continues(fields[-1].value, value):
                fields[-1] = self._join(fields[-1], key)
            elif (made := self._make_field(key, value)) is not None:
                fields.append(made)
        self._add(Fields(tuple(self._drop_doubles(fields)), opened.location))

    def _make_field(self, key: Tree, value: Tree) -> Field | None:
        if isinstance(key, Leaf) and isinstance(key.value, str):
            return Field(key.value, value, key.location)
        advice = f" Write {quote_yaml(key.written)}" if isinstance(key, Leaf) and key.written else ""
        shown = (
            f"{key.written} is {kind_of(key)} in YAML"
            if advice and isinstance(key, Leaf)
            else f"this is {kind_of(key)}"
        )
        self._find("7", key.location, f"A key is a text, and {shown}.{advice}")
        return None

    def _drop_doubles(self, fields: list[Field]) -> Iterator[Field]:
        first: dict[str, Field] = {}
        for one in fields:
            earlier = first.setdefault(one.key, one)
            if earlier is one:
                yield one
                continue
            lines = f"lines {earlier.location.line} and {one.location.line}"
            if earlier.location.line == one.location.line:
                lines = f"line {one.location.line}"
            text = f"`{one.key}` stands twice in one mapping, at {lines}. Keep one."
            self._find("4", one.location, text)

    def _join(self, before: Field, key: Leaf) -> Field:
        """Error 3: put an unquoted `rows(T, i0 // 4)` together again that a comma tore apart, and say so."""
        torn = before.value.written if isinstance(before.value, Leaf) else ""
        whole = Leaf(f"{torn}, {key.written}", f"{torn}, {key.written}", before.value.location)
        if not _is_torn(whole):
            tail = f"`{key.written}` has no value: a comma in an unquoted text inside {{ }} begins a new key."
            text = f"{tail} Write {before.key}: {quote_yaml(whole.written)}"
            self._find("3", key.location, text)
        return Field(before.key, whole, before.location)

    def _find(self, code: str, location: Location, text: str) -> None:
        """A mistake of the mapping that has just ended: the place in the data is that of the mapping."""
        self._problems.append(Problem(code, Location(location.source, location.line, self._path()), text))

    def _path(self) -> str:
        path = ""
        for opened in self._open:
            last = opened.nodes[-1] if opened.nodes else None
            if not opened.mapping:
                path += f"[{len(opened.nodes)}]"
            elif isinstance(last, Leaf):
                path += f".{last.written}" if path else last.written
        return path


def _row(event: Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line


def _is_torn(value: Tree) -> bool:
    """Whether a text has a bracket that is not closed."""
    if not isinstance(value, Leaf) or not isinstance(value.value, str):
        return False
    return value.written.count("(") > value.written.count(")")


def _continues(before: Tree, after: Tree) -> bool:
    """Whether what follows a torn text is a key without a value."""
    return _is_torn(before) and isinstance(after, Leaf) and not after.written
