"""What a word is: a text and its language go in, its words come out; none where a language puts no blanks."""

from __future__ import annotations

import re

from lightning_tying.vocab.words import words_of

_WITHOUT_BLANKS = frozenset({"zh", "yue", "wuu", "ja", "th", "lo", "km", "my", "bo", "dz"})


def has_words(language: str) -> bool:
    """Whether a language puts blanks between words; without a segmenter the others have none that could be counted.

    Args:
        language: a BCP 47 code, `zh-Hant`.
    """
    return re.split("[-_]", language)[0].lower() not in _WITHOUT_BLANKS


def split_words(text: str) -> list[str]:
    """What stands between white space, signs included: the words of fertility and of the rate of whole words.

    Args:
        text: any.
    """
    return text.split()


def word_forms(text: str) -> set[str]:
    """The word forms of a text: runs of letters and their marks, two at least, in lower case.

    Args:
        text: any.
    """
    return {word for word in words_of(text.lower()) if len(word) > 1}
