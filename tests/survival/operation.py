"""A row of the survival table: an operation on a tied network, and what becomes of the tie for each kind of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from torch import nn

from tests.survival.cases import Kind, Net


class Outcome(Enum):
    """What a cell says."""

    HOLDS = "holds"
    RESTORED = "restored"
    REFUSED = "refused"
    DETECTED = "detected"
    UNTIED = "untied"


Run: TypeAlias = Callable[[Net, Kind], nn.Module | None]


@dataclass(frozen=True)
class Cell:
    """What is expected, with the words that the message of a refusal or of the next `verify` has."""

    outcome: Outcome
    words: str = ""


@dataclass(frozen=True)
class Operation:
    """One row.

    Args:
        title: of the row, as Markdown.
        run: does it to a tied network, in place or with the changed one as its result.
        cells: for alias, transposed, delta.
        tolerance: of outputs and gradients; 1e-2 for two-byte dtypes.
        control: whether it can be done to a network without our hooks, which tells "holds" from "restored".
        compared: whether the result computes what the network computed before; else `run` checks what it does.
        kept: whether a refusal leaves the network as it was.
        note: for the page.
    """

    title: str
    run: Run
    cells: tuple[Cell, Cell, Cell]
    tolerance: float = 1e-6
    control: bool = True
    kept: bool = True
    compared: bool = True
    note: str = ""


HOLDS = Cell(Outcome.HOLDS)
RESTORED = Cell(Outcome.RESTORED)
UNTIED = Cell(Outcome.UNTIED)


def refused(words: str) -> Cell:
    """A refusal whose message has these words."""
    return Cell(Outcome.REFUSED, words)


def detected(words: str) -> Cell:
    """Nobody is asked; the next `verify` says these words."""
    return Cell(Outcome.DETECTED, words)


def every(cell: Cell) -> tuple[Cell, Cell, Cell]:
    """The same for alias, transposed and delta."""
    return cell, cell, cell
