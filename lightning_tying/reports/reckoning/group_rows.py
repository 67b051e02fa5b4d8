"""What each sharing group saves in; the rows of a table that stays readable at hundreds of groups out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

MOST_ROWS = 12
_Key: TypeAlias = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class GroupSavings:
    """What one sharing group saves, in cells; groups of one family and shape may be told in one row."""

    name: str
    uses: int
    shape: tuple[int, ...]
    cells: int
    family: str = ""

    @property
    def saved(self) -> int:
        return (self.uses - 1) * self.cells


def group_rows(groups: Sequence[GroupSavings]) -> tuple[tuple[str, ...], ...]:
    """Name, shape, uses, cells and saved cells of each group.

    Of more than twelve groups those of one shape whose names differ in numbers alone become one row of sums; where that
    leaves more than twelve rows, those of one family; of these the largest remain, with the sums of the rest below.

    Args:
        groups: the largest savings first.
    """
    folded = {(group.name, group.shape): [group] for group in groups}
    for widen in (_without_numbers, _family):
        if len(folded) > MOST_ROWS:
            folded = _fold(groups, widen)
    ordered = sorted(folded.items(), key=lambda item: -sum(group.saved for group in item[1]))
    rows = [_row(_title(name, members), _shape(members[0]), members) for (name, _), members in ordered]
    left = [group for _, members in ordered[MOST_ROWS:] for group in members]
    return (*rows[:MOST_ROWS], *([_row(f"{len(left):,} more", "", left)] if left else []))


def _fold(groups: Sequence[GroupSavings], widen: Callable[[GroupSavings], str]) -> dict[_Key, list[GroupSavings]]:
    folded: dict[_Key, list[GroupSavings]] = {}
    for group in groups:
        folded.setdefault((widen(group), group.shape), []).append(group)
    return folded


def drop_numbers(name: str) -> str:
    """`block[up, 3]` stands with `block[up, 4]`; `layers.3.weight`, the name of a tie without one, with its like."""
    return re.sub(r"(?<=[.\[ ])\d+(?=[.\],])|^\d+(?=\.)|(?<=\.)\d+$", "…", name)


def _without_numbers(group: GroupSavings) -> str:
    return drop_numbers(group.name)


def _family(group: GroupSavings) -> str:
    return f"{group.family}[…]" if group.name != group.family else _without_numbers(group)


def _row(title: str, shape: str, members: Sequence[GroupSavings]) -> tuple[str, ...]:
    uses, cells, saved = (sum(column) for column in zip(*((m.uses, m.cells, m.saved) for m in members), strict=True))
    return title, shape, f"{uses:,}", f"{cells:,}", f"{saved:,}"


def _title(name: str, members: Sequence[GroupSavings]) -> str:
    return members[0].name if len(members) == 1 else f"{name} ({len(members):,})"


def _shape(group: GroupSavings) -> str:
    return " × ".join(map(str, group.shape)) or "1"
