"""`lightning-tying vocab trim`: a vocabulary and texts go in; the same without what they never use comes out."""

from __future__ import annotations

import json
from pathlib import Path

from lightning_tying.checkpoints.write import check_target
from lightning_tying.commands.options import take_flag, take_value
from lightning_tying.commands.vocabulary.changed import TEXT_OPTIONS, one_vocabulary, read_all_texts
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.extending.trim import Trimmed, trim_vocabulary
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.whole_files import write_together

USAGE = f"""\
usage: lightning-tying vocab trim BASE --output OUT.json [--texts PATH] [--languages CODES] [--force]

Leaves out the pieces that some texts never use. These texts are cut as before; special tokens, bytes and the pieces
that others are merged from stay, so that every other text can still be written.
`checkpoint migrate --vocabulary` takes the rows of what is gone out of a trained model.

  BASE               a tokenizer.json, or the folder that has one
  --output OUT.json  the new tokenizer.json; beside it OUT.ids.json: the new id of every old one, -1 if gone
{TEXT_OPTIONS}
  --force            replace the files"""


def trim(words: list[str]) -> int:
    """Write the trimmed vocabulary and the map of its ids.

    Raises:
        ConfigError: an argument is wrong, the vocabulary cannot be trimmed, or a file cannot be written.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, force = take_flag(words, "--force")
    words, output = take_value(words, "--output")
    base, texts = read_all_texts(words, "trim")
    if output is None:
        raise ConfigError("trim wants --output OUT.json.")
    target = Path(output)
    beside = target.with_name(f"{target.stem}.ids.json")
    for each in (target, beside):
        check_target(each, force=force)
    vocabulary = one_vocabulary(base, "trim")
    trimmed = trim_vocabulary(vocabulary, texts())
    write_together({target: trimmed.vocabulary.to_json().encode(), beside: _write_ids(vocabulary, trimmed)})
    print(f"{vocabulary.size:,} rows before, {trimmed.vocabulary.size:,} now")
    print(f"written: {target} ({target.stat().st_size:,} bytes), {beside}")
    return 0


def _write_ids(old: SharedVocabulary, trimmed: Trimmed) -> bytes:
    content = {
        "old_sha256": old.digest,
        "new_sha256": trimmed.vocabulary.digest,
        "new_ids": trimmed.new_ids.tolist(),
    }
    return (json.dumps(content) + "\n").encode()
