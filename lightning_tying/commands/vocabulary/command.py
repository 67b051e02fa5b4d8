"""`lightning-tying vocab`: a subcommand and its arguments go in; vocabularies, row maps and reports come out."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import suggest

COMMANDS = ("train", "unite", "extend", "trim", "report", "diff")
USAGE = """\
usage: lightning-tying vocab train --config VOCAB.yaml --output DIR
       lightning-tying vocab unite A.json B.json … --output DIR [--policy surface|surface_similar|dictionary|none]
       lightning-tying vocab extend …    lightning-tying vocab trim …
       lightning-tying vocab report FILE_OR_DIR
       lightning-tying vocab diff A B

One vocabulary for many languages, or many vocabularies in one table of embeddings.

  train    learn one from texts: joint, parity, unigram, per_language or clustered
  unite    several vocabularies: a row map (which ids share a row), and one tokenizer where they can be one
  extend   new pieces for a new language; every old id stays
  trim     drop the pieces that a corpus does not use
  report   what a vocabulary costs each language, and what the languages share
  diff     what differs between two vocabularies

first steps
  lightning-tying vocab train --config vocab/parity.yaml --output vocab
  lightning-tying vocab report vocab
  lightning-tying vocab unite es.json pt.json --output united
and in a sharing spec
  embed.{lang}.weight = rows(vocab, map='united/rows.safetensors#{lang}')

`lightning-tying vocab COMMAND --help` says more. Every output is there whole or not at all."""


def vocabulary(words: list[str]) -> int:
    """Run a subcommand.

    Raises:
        ConfigError: there is no such subcommand, or its input is bad.
    """
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    name = words[0]
    if name not in COMMANDS:
        raise ConfigError(f"There is no `vocab {name}`.{suggest(name, COMMANDS)} Commands: {', '.join(COMMANDS)}.")
    module = import_module(f"lightning_tying.commands.vocabulary.{name}")  # only what this command needs
    return cast("Callable[[list[str]], int]", getattr(module, name))(words[1:])
