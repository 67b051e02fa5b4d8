"""Special tokens: a language goes in, its tag comes out; and the names that every vocabulary of this package has."""

from __future__ import annotations

PAD = "<pad>"
EOS = "<eos>"
UNKNOWN = "<unk>"  # only Unigram models need it, and with all bytes among the pieces no text ever gives it
RESERVED = frozenset({PAD, EOS, UNKNOWN})


def language_tag(language: str) -> str:
    """The special token of a language, `<de>`."""
    return f"<{language}>"
