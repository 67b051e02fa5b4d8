"""`lightning-tying vocab diff`: two vocabularies and texts go in; pieces, ids and texts that differ come out."""

from __future__ import annotations

from pathlib import Path

from lightning_tying.commands.options import take_option, take_value
from lightning_tying.commands.vocabulary.output import FORMATS, put_out, show_tables
from lightning_tying.commands.vocabulary.source import read_source
from lightning_tying.commands.vocabulary.texts import OPTIONS, take_texts
from lightning_tying.errors import ConfigError
from lightning_tying.reports.vocabulary.diff import Side, compare
from lightning_tying.reports.vocabulary.render_diff import (
    list_tables,
    name_pieces,
    to_html,
    to_json,
    to_markdown,
    to_text,
)

PAGE = "vocabulary_diff.html"
USAGE = f"""\
usage: lightning-tying vocab diff A B [--package NAME | --texts PATH | --config FILE] [--languages CODES]
                                  [--split SPLIT] [--format text|json|md|html] [--output FILE]

Says what differs between two vocabularies: rows, pieces that only one has, ids that moved, tokens of each language, and
texts that are cut differently. A and B are tokenizer.json files (of any library), or folders that have one.

{OPTIONS}
  --format FORMAT    text (default), json (with every piece), md, html
  --output FILE      where it goes: {PAGE} beside B for html, else standard output"""


def diff(words: list[str]) -> int:
    """Print or write what differs between two vocabularies.

    Raises:
        ConfigError: a vocabulary or the texts cannot be read, an option is wrong, or the file cannot be written.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, chosen = take_option(words, "--format", FORMATS)
    words, output = take_value(words, "--output")
    words, read_texts = take_texts(words)
    first, second = (read_source(path) for path in _two_paths(words))
    texts = read_texts(_common(first.languages, second.languages)).held_out
    found = compare(Side(first.subject, first.spelling), Side(second.subject, second.spelling), texts)
    target = Path(output) if output else second.path.with_name(PAGE) if chosen == "html" else None
    if chosen in (None, "text") and target is None and show_tables(list_tables(found), name_pieces(found)):
        return 0
    render = {"text": to_text, "json": to_json, "md": to_markdown, "html": to_html}[chosen or "text"]
    put_out(render(found), target)
    return 0


def _common(first: tuple[str, ...] | None, second: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The languages that both can write; None for any."""
    if first is None or second is None:
        return second if first is None else first
    return tuple(language for language in first if language in second)


def _two_paths(words: list[str]) -> tuple[Path, Path]:
    unknown = next((word for word in words if word.startswith("-")), None) or next(iter(words[2:]), None)
    if unknown is not None:
        raise ConfigError(f"vocab diff does not know {unknown}. See `lightning-tying vocab diff --help`.")
    if len(words) < 2:
        raise ConfigError("vocab diff wants two vocabularies: lightning-tying vocab diff A.json B.json")
    return Path(words[0]), Path(words[1])
