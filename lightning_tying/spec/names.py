"""What may be a name in the language: a word in, nothing or a `Mistake` out."""

from __future__ import annotations

import keyword
import re

from lightning_tying.spec.mistakes import Mistake, quote_text

SIZES = frozenset({*(f"d{i}" for i in range(10)), "ndim", "numel"})
_COORDINATE = re.compile(r"i[0-9]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_coordinate(word: str) -> bool:
    """Whether the word is `i0`, `i1`, …, a cell's coordinate in a map."""
    return _COORDINATE.fullmatch(word) is not None


def is_reserved(word: str) -> bool:
    """Whether the word has a meaning of its own everywhere: sizes, coordinates, `site`, `module`."""
    return word in SIZES or word in ("site", "module") or is_coordinate(word)


def check_name(word: str) -> None:
    """Refuse what cannot be a capture, a name of `let` or a shared parameter.

    Raises:
        Mistake: 22, a word of the language, of Python's grammar, or not ASCII letters, digits and `_`.
    """
    if _NAME.fullmatch(word) is None:
        raise Mistake("22", f"{quote_text(word)} is not a name: names are ASCII letters, digits and _.")
    if keyword.iskeyword(word):
        raise Mistake("22", f"`{word}` is a word of Python's grammar and cannot be a name. Choose another.")
    if is_reserved(word):
        raise Mistake("22", f"`{word}` is a word of the language and cannot be a name. Choose another.")
