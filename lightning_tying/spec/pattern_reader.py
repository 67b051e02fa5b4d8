"""The text of a pattern in, its parts out; a dot closes every segment, so an FQN is matched with one at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from lightning_tying.spec.mistakes import Mistake, quote_text
from lightning_tying.spec.names import check_name
from lightning_tying.spec.pattern_parts import Hole, Part, Segments, Star, Text

MAX_CHARACTERS = 500
MAX_HOLES = 16
MAX_ALTERNATIVES = 256
_STRAY = re.compile(r"[}|=\s]")
_HOLES = "A hole is {l}, {l:int}, {m:q|k} or {name*}."


def read_parts(text: str) -> tuple[Part, ...]:
    """Read a pattern by the grammar of section 2 of the language reference.

    Raises:
        Mistake: 16 to 22, or 24 where a limit is passed.
    """
    _check_characters(text)
    segments = [_read_segment(segment, text) for segment in _split_segments(text)]
    holes = [part for segment in segments for part in segment if isinstance(part, Hole)]
    _check_holes(holes)
    return tuple(_join_texts(part for segment in segments for part in segment))


def _check_characters(text: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise Mistake("24", f"The pattern {quote_text(text, 40)} has more than {MAX_CHARACTERS} characters.")
    if "\\" in text:
        raise Mistake(
            "21", "`\\` is not read: a pattern is not a regular expression. Write {l:int}, {m:a|b}, `*` or `**`."
        )
    if not text:
        raise Mistake("16", "A pattern has no text. Write the FQN of a site, such as head.weight.")


def _check_holes(holes: list[Hole]) -> None:
    if len(holes) > MAX_HOLES:
        raise Mistake("24", f"The pattern has {len(holes)} holes; at most {MAX_HOLES} are read.")
    if sum(len(hole.alternatives) for hole in holes) > MAX_ALTERNATIVES:
        raise Mistake("24", f"The pattern has more than {MAX_ALTERNATIVES} alternatives.")
    names: set[str] = set()
    for hole in holes:
        if hole.name in names:
            raise Mistake("18", f"The hole `{hole.name}` stands twice in one pattern. Give the second another name.")
        names.add(hole.name)


def _split_segments(text: str) -> list[str]:
    """Split at the dots outside holes; refuse what is not closed and what stands where no text may."""
    segments, opened = [""], False
    for letter in text:
        if letter == "{":
            if opened:
                break
            opened = True
        elif letter == "}" and opened:
            opened = False
        elif not opened and _STRAY.match(letter):
            raise Mistake("16", _stray_message(letter, text))
        if letter == "." and not opened:
            segments.append("")
        else:
            segments[-1] += letter
    if opened:
        raise Mistake("17", f"`{{` is not closed in {quote_text(text)}.")
    if not all(segments):
        raise Mistake("16", f"{quote_text(text)} has an empty segment: two dots in a row, or one at an end.")
    return segments


def _stray_message(letter: str, text: str) -> str:
    if letter == "}":
        return f"`}}` closes no hole in {quote_text(text)}. {_HOLES}"
    if letter == "|":
        return f"`|` stands outside a hole in {quote_text(text)}. Alternatives are written {{m:q|k}}."
    if letter == "=":
        return f"{quote_text(text)} is a pattern and holds no `=`."
    return f"{quote_text(text)} holds white space. Several patterns are written as a list: [a.weight, b.weight]."


def _read_segment(segment: str, pattern: str) -> list[Part]:
    if segment == "**":
        return [Segments()]
    pieces = [piece for piece in re.split(r"(\{[^}]*\}|\*+)", segment) if piece]
    parts = [_read_piece(piece, pattern) for piece in pieces]
    for first, second in pairwise(parts):
        if isinstance(first, Hole) and isinstance(second, Hole):
            together = first.text + second.text
            raise Mistake("19", f"`{together}` touch, so nothing says where one ends. Put text between them.")
    for part in parts:
        if isinstance(part, Hole) and part.kind == "segments" and len(parts) > 1:
            alone = f"Write {part.text} alone between dots, or {{{part.name}}}."
            raise Mistake("20", f"`{part.text}` takes whole segments. {alone}")
    return [*parts, Text(".")]


def _read_piece(piece: str, pattern: str) -> Part:
    if piece.startswith("*"):
        return Star()
    if piece.startswith("{"):
        return _read_hole(piece, pattern)
    return Text(piece)


def _read_hole(piece: str, pattern: str) -> Hole:
    inside = piece[1:-1]
    if "{" in inside:
        raise Mistake("17", f"`{{` is not closed in {quote_text(pattern)}.")
    name, colon, rest = inside.partition(":")
    segments = name.endswith("*") and not colon
    name = name.removesuffix("*") if segments else name
    if not name.isidentifier():
        raise Mistake("16", f"{quote_text(piece)} is not a hole. {_HOLES}")
    check_name(name)
    if segments:
        return Hole(name, "segments")
    if not colon:
        return Hole(name)
    if rest == "int":
        return Hole(name, "int")
    choices = tuple(rest.split("|"))
    if not all(choices) or re.search(r"[=\s]", rest):
        raise Mistake("16", f"{quote_text(piece)} is not a hole. {_HOLES}")
    return Hole(name, "alternatives", choices)


def _join_texts(parts: Iterator[Part]) -> Iterator[Part]:
    """Neighboring texts as one, so that literals are compared in one step."""
    text = ""
    for part in parts:
        if isinstance(part, Text):
            text += part.text
            continue
        if text:
            yield Text(text)
            text = ""
        yield part
    if text:
        yield Text(text)
