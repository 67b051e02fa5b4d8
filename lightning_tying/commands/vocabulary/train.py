"""`lightning-tying vocab train`: a config goes in; a vocabulary, its report and what made it lie in a folder."""

from __future__ import annotations

from pathlib import Path

from lightning_tying.commands.options import take_flag, take_value
from lightning_tying.commands.vocabulary.output_folder import check_folder
from lightning_tying.commands.vocabulary.progress import show_progress
from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import suggest

USAGE = """\
usage: lightning-tying vocab train --config VOCAB.yaml --output DIR [--force] [--KEY VALUE …]

Learns a vocabulary from the training texts of a corpus, measures it on the others, and writes into DIR

  tokenizer.json     the vocabulary, which any program that uses `tokenizers` can read
                     (strategy per_language: members/LANGUAGE.json of each, rows.safetensors and rows.json: the row map)
  report.json        what it costs each language; report.md and report.html say the same
  vocab.yaml         the whole config, and what made it: versions and digests

The same config and texts give the same bytes.

keys of a config, and options on the command line (--size 4000, --parity.variant window, --languages '[de, fr]')
  corpus.package NAME     texts: the catalogues of an installed package; default django
  corpus.catalogs FOLDER  texts: a folder of catalogues
  corpus.texts FOLDER     texts: de.txt, fr.txt, …, a text a line
  corpus.pairs FILE       texts: a table of translations (.tsv, .jsonl)
  corpus.mask_placeholders true|false
  languages               core (26 languages), all, or codes
  strategy                joint, parity, unigram, clustered, per_language
  size                    rows; of per_language those of each vocabulary
  pretokenizer            multilingual, scripts, gpt2, metaspace
  sampling.policy         temperature (with alpha), proportional, uniform, unimax (with max_epochs), weights
  parity.variant          base, window (with window_size and alpha), hybrid (with global_merges)
  clusters                of the strategy clustered: how many
  per_language.kind       joint (BPE) or unigram; per_language.policy: surface, surface_similar, none

  --output DIR   where everything goes, all or nothing
  --force        replace what an earlier training wrote there"""


def train(words: list[str]) -> int:
    """Learn a vocabulary into a folder.

    Raises:
        ConfigError: the config, the corpus or an option is wrong, or the output is there already.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, config = take_value(words, "--config")
    words, output = take_value(words, "--output")
    words, force = take_flag(words, "--force")
    if config is None or output is None:
        raise ConfigError("vocab train wants --config VOCAB.yaml and --output DIR; see `vocab train --help`.")
    overrides = _read_overrides(words)
    from lightning_tying.commands.vocabulary.train_config import read_config  # heavy, as the next
    from lightning_tying.commands.vocabulary.train_corpus import read_texts
    from lightning_tying.commands.vocabulary.train_files import make_files, write_files

    read = read_config(Path(config), overrides)
    check_folder(Path(output), force=force)
    with show_progress() as progress:
        made = make_files(read, read_texts(read), Path(output), progress)
    write_files(made.files, Path(output))
    print(made.summary)
    return 0


def _read_overrides(words: list[str]) -> dict[str, str]:
    """`--size 4000` and `--size=4000` as key → text."""
    overrides: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            raise ConfigError(f"vocab train does not know what {word} is for. See `vocab train --help`.")
        name, equals, value = word[2:].partition("=")
        text = value if equals else next(rest, "")
        if not text:
            raise ConfigError(f"--{name} needs a value.{suggest(name, ('config', 'output', 'force'))}")
        overrides[name] = text
    return overrides
