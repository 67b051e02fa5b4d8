"""Dictionaries: files, packages or parallel text go in, groups of words that mean the same come out."""

from lightning_tying.vocab.dictionaries.babel_names import read_babel
from lightning_tying.vocab.dictionaries.dictionary import Dictionary, Group, check_dictionary
from lightning_tying.vocab.dictionaries.emoji_names import read_emoji
from lightning_tying.vocab.dictionaries.induced import induce
from lightning_tying.vocab.dictionaries.tsv import read_tsv

__all__ = ["Dictionary", "Group", "check_dictionary", "induce", "read_babel", "read_emoji", "read_tsv"]
