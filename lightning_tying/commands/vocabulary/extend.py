"""`lightning-tying vocab extend`: a vocabulary and texts go in; the same vocabulary with more pieces comes out."""

from __future__ import annotations

from pathlib import Path

from lightning_tying.checkpoints.write import check_target
from lightning_tying.commands.options import take_flag, take_value
from lightning_tying.commands.vocabulary.changed import TEXT_OPTIONS, count_changed, one_vocabulary, read_all_texts
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.extending.extend import extend_vocabulary
from lightning_tying.whole_files import write_together

USAGE = f"""\
usage: lightning-tying vocab extend BASE --size N --output OUT.json [--texts PATH] [--languages CODES] [--force]

Learns more pieces for more languages on top of a trained BPE. Every old id stays, and a text of the old languages
changes only where old pieces are joined; `checkpoint migrate --vocabulary` gives a trained model the new rows.

  BASE               a tokenizer.json, or the folder that has one
  --size N           rows in all, those of BASE included
  --output OUT.json  the new tokenizer.json
{TEXT_OPTIONS}
  --force            replace OUT.json"""


def extend(words: list[str]) -> int:
    """Write the extended vocabulary, and say what has changed.

    Raises:
        ConfigError: an argument is wrong, the vocabulary cannot be extended, or the file cannot be written.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, force = take_flag(words, "--force")
    words, size = take_value(words, "--size")
    words, output = take_value(words, "--output")
    base, texts = read_all_texts(words, "extend")
    if size is None or not size.isascii() or not size.isdigit():
        raise ConfigError(f"extend wants --size N, how many rows there are then, not {size or 'nothing'}.")
    if output is None:
        raise ConfigError("extend wants --output OUT.json.")
    target = Path(output)
    check_target(target, force=force)
    vocabulary = one_vocabulary(base, "extend")
    by_language = texts()
    grown = extend_vocabulary(vocabulary, by_language, int(size))
    write_together({target: grown.to_json().encode()})
    print(f"{vocabulary.size:,} rows before, {grown.size:,} now; every old id stays")
    new = [language for language in grown.language_ids if language not in vocabulary.language_ids]
    if new:
        print(f"new languages: {', '.join(new)}")
    for language, lines in by_language.items():
        before, after, changed = count_changed(vocabulary, grown, lines)
        print(f"{language}: {before:,} tokens before, {after:,} now; {changed:,} of {len(lines):,} texts cut otherwise")
    if grown.size < int(size):
        print(f"the texts have no more pieces: {grown.size:,} rows of the {int(size):,} that were asked for")
    print(f"written: {target} ({target.stat().st_size:,} bytes)")
    return 0
