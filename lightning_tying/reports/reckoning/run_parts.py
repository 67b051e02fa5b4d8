"""What each sharing group takes in a run goes in; rows that stay readable at hundreds of groups come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lightning_tying.reports.reckoning.footprint import Footprint
from lightning_tying.reports.reckoning.group_rows import drop_numbers

MOST_ROWS = 12
PartKind: TypeAlias = Literal["shared", "derived", "alone"]
_Key: TypeAlias = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Part:
    """What one sharing group takes, gross and net.

    Args:
        name: of the shared parameter, or of the families that derived sites are computed from.
        kind: `shared` by aliases; `derived`: read by functions; `alone`: all parameters that one site reads.
        sites: how many read it.
        shape: of the shared parameter; empty for the other kinds.
        gross: a parameter of its own at every site.
        net: each parameter once; above gross where functions bring more than is shared.
        family: of the shared parameter; groups of one family may be told in one row.
    """

    name: str
    kind: PartKind
    sites: int
    gross: Footprint
    net: Footprint
    shape: tuple[int, ...] = ()
    family: str = ""

    @property
    def saved(self) -> Footprint:
        return self.gross - self.net


def part_rows(parts: Sequence[Part]) -> tuple[tuple[str, ...], ...]:
    """Name, shape, sites, gross, net and saved cells, then saved bytes of gradients, optimizer state and checkpoint.

    Of more than twelve parts those of one shape whose names differ in numbers alone become one row; where that leaves
    more than twelve rows, those of one family; of these the largest remain, with the sums of the rest below.
    """
    folded = {(part.name, part.shape): [part] for part in parts}
    for widen in (_without_numbers, _family):
        if len(folded) > MOST_ROWS:
            folded = _fold(parts, widen)
    ordered = sorted(folded.items(), key=lambda item: -sum(part.saved.parameters for part in item[1]))
    rows = [_row(_title(name, members), _shape(shape), members) for (name, shape), members in ordered[:MOST_ROWS]]
    left = [part for _, members in ordered[MOST_ROWS:] for part in members]
    return (*rows, *([_row(f"{len(left):,} more", "", left)] if left else []))


def _row(title: str, shape: str, members: Sequence[Part]) -> tuple[str, ...]:
    gross = sum((part.gross for part in members), Footprint())
    net = sum((part.net for part in members), Footprint())
    saved = gross - net
    cells = (sum(part.sites for part in members), gross.parameters, net.parameters, saved.parameters)
    size = (saved.gradient_bytes, saved.state_bytes, saved.checkpoint_bytes)
    return title, shape, *(f"{number:,}" for number in (*cells, *size))


def _fold(parts: Iterable[Part], widen: Callable[[Part], str]) -> dict[_Key, list[Part]]:
    folded: dict[_Key, list[Part]] = {}
    for part in parts:
        folded.setdefault((widen(part), part.shape), []).append(part)
    return folded


def _without_numbers(part: Part) -> str:
    return drop_numbers(part.name)


def _family(part: Part) -> str:
    return f"{part.family}[…]" if part.name != part.family else drop_numbers(part.name)


def _title(name: str, members: Sequence[Part]) -> str:
    return members[0].name if len(members) == 1 else f"{name} ({len(members):,})"


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
