"""A misspelt word and the words that are known in; the one that was probably meant out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from heapq import nlargest

_CANDIDATES = 200  # the distance is quadratic in the length, so it is only taken to the most alike


def nearest_name(word: str, known: Iterable[str]) -> str | None:
    """The known word with the smallest edit distance to `word`, if it is small against its length.

    Args:
        word: what was written.
        known: what could have been meant; of equally near ones the first is taken.

    Returns:
        The word, or None when nothing is near: the distance may be 1, or a third of the length.
    """
    names = keep_alike(word, (name for name in dict.fromkeys(known) if name != word), _CANDIDATES)
    allowed = max(1, len(word) // 3)
    distances = [(edit_distance(word, name, allowed), name) for name in names]
    best = min(distances, key=lambda pair: pair[0], default=(allowed + 1, ""))
    return best[1] if best[0] <= allowed else None


def keep_alike(word: str, known: Iterable[str], most: int) -> list[str]:
    """Of many words those that have the most letter triples in common with `word`."""
    names = list(known)
    if len(names) <= most:
        return names
    grams = _grams(word)
    return nlargest(most, names, key=lambda name: (grams & _grams(name)).total())


def edit_distance(first: str, second: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbors from `first` to `second`; `limit` + 1 when more."""
    if abs(len(first) - len(second)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(second) + 1))
    for i, letter in enumerate(first, 1):
        before, above, row = row, before, [i]
        for j, other in enumerate(second, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == second[j - 2] and first[i - 2] == other:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > limit and (not before or min(before) > limit):
            return limit + 1
    return min(row[-1], limit + 1)


def suggest(word: str, known: Iterable[str]) -> str:
    """` Did you mean …?` for a message, or nothing where nothing is near."""
    near = nearest_name(word, known)
    return f" Did you mean `{near}`?" if near is not None else ""


def _grams(word: str) -> Counter[str]:
    return Counter(word[i : i + 3] for i in range(max(1, len(word) - 2)))
