"""Dictionary: groups of words that mean the same; checked, so that no word stands in two of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from lightning_tying.errors import ConfigError

Group = Mapping[str, tuple[str, ...]]
Dictionary = tuple[Group, ...]
"""Groups of words: each maps languages to the words that mean the same in them."""


def check_dictionary(dictionary: Dictionary) -> None:
    """Refuse a word in two groups: it would read two rows.

    Raises:
        ConfigError: a language has one word in two groups, or a word is empty.
    """
    first: dict[tuple[str, str], int] = {}
    for number, group in enumerate(dictionary):
        for language, words in group.items():
            for word in words:
                if not word.strip():
                    raise ConfigError(f"Group {number} of the dictionary has an empty word in {language!r}.")
                known = first.setdefault((language, word_form(word)), number)
                if known != number:
                    raise ConfigError(
                        f"The dictionary has the word {word!r} ({language}) in the groups {known} and {number}; a "
                        "word can share one row only. Put it in one of them."
                    )


def keep_first(groups: Iterable[Mapping[str, Iterable[str]]]) -> Dictionary:
    """A dictionary of groups that others made: a word in several groups stays in the first one.

    Groups that are left with fewer than two languages are dropped.

    Args:
        groups: by language the words of each group.
    """
    taken: set[tuple[str, str]] = set()
    kept: list[Group] = []
    for group in groups:
        fresh: dict[str, tuple[str, ...]] = {}
        for language, words in group.items():
            forms = dict.fromkeys(word_form(word) for word in words)
            own = tuple(word for word in forms if word.strip() and (language, word) not in taken)
            if own:
                fresh[language] = own
        if len(fresh) > 1:
            kept.append(fresh)
            taken.update((language, word) for language, words in fresh.items() for word in words)
    return tuple(kept)


def word_form(word: str) -> str:
    """The word in Unicode's form C, without blanks around it."""
    return unicodedata.normalize("NFC", word).strip()
