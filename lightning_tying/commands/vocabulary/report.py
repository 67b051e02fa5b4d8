"""`lightning-tying vocab report`: a vocabulary and texts go in; what it costs each language comes out."""

from __future__ import annotations

from pathlib import Path

from lightning_tying.commands.options import take_option, take_value
from lightning_tying.commands.vocabulary.output import FORMATS, put_out, show_tables
from lightning_tying.commands.vocabulary.source import Source, read_bits, read_source
from lightning_tying.commands.vocabulary.texts import OPTIONS, Texts, take_texts
from lightning_tying.errors import ConfigError
from lightning_tying.reports.vocabulary.advice import advise
from lightning_tying.reports.vocabulary.figures import VocabularyFigures
from lightning_tying.reports.vocabulary.measure import measure_vocabulary
from lightning_tying.reports.vocabulary.render import list_tables, to_json, to_markdown, to_text

PAGE = "vocabulary_report.html"
USAGE = f"""\
usage: lightning-tying vocab report FILE_OR_DIR [--package NAME | --texts PATH | --config FILE]
                                    [--languages CODES] [--split SPLIT] [--reference CODE]
                                    [--format text|json|md|html] [--output FILE]

Says what a vocabulary costs each language and what languages share, the worst language first, with advice. FILE_OR_DIR
is a tokenizer.json (of any library), or a folder that has one: of a run, whose bits per byte are shown too. A union is
measured in the languages of its members.

{OPTIONS}
  --reference CODE   the language that premiums compare with; default en
  --format FORMAT    text (default), json, md, html: a page with pictures that opens without a network
  --output FILE      where it goes: {PAGE} beside the vocabulary for html, else standard output"""


def report(words: list[str]) -> int:
    """Print or write the report of a vocabulary.

    Raises:
        ConfigError: the vocabulary or the texts cannot be read, an option is wrong, or the file cannot be written.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, chosen = take_option(words, "--format", FORMATS)
    words, output = take_value(words, "--output")
    words, reference = take_value(words, "--reference")
    words, read_texts = take_texts(words)
    path = _only_path(words)
    source = read_source(path)
    figures = _measure(source, path, read_texts(source.languages), reference)
    target = Path(output) if output else source.path.with_name(PAGE) if chosen == "html" else None
    told = [*advise(figures), *(f"note: {note}" for note in figures.notes)]
    if chosen in (None, "text") and target is None and show_tables(list_tables(figures), told):
        return 0
    put_out(_render(figures, chosen or "text"), target)
    return 0


def _measure(source: Source, path: Path, texts: Texts, reference: str | None) -> VocabularyFigures:
    figures = measure_vocabulary(
        source.subject, texts.held_out, texts.parallel, corpus=texts.corpus, reference=reference
    )
    bits = read_bits(path)
    return figures if bits is None else figures.with_bits(*bits)


def _only_path(words: list[str]) -> Path:
    if not words or words[0].startswith("-"):
        raise ConfigError("vocab report wants a vocabulary first: lightning-tying vocab report tokenizer.json")
    if len(words) > 1:
        raise ConfigError(f"vocab report does not know {words[1]}. See `lightning-tying vocab report --help`.")
    return Path(words[0])


def _render(figures: VocabularyFigures, chosen: str) -> str:
    if chosen == "html":
        from lightning_tying.reports.vocabulary.html import to_html  # heavy: matplotlib

        return to_html(figures)
    return {"text": to_text, "json": to_json, "md": to_markdown}[chosen](figures)
