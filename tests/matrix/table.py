"""Differences by case and mode go in; the page with the table comes out."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import lightning
import torch

from tests.matrix.cases import CASES
from tests.matrix.modes import MODES
from tests.matrix.outcome import Difference
from tests.matrix.task import CLIP, RATE, STEPS

BY_HAND = "by_hand"
TITLES = {BY_HAND: "by hand"} | {name: mode.title for name, mode in MODES.items()}
TOLERANCES = {BY_HAND: 1e-5} | {name: mode.tolerance for name, mode in MODES.items()}
REASONS = {BY_HAND: "the formula's operations stand in another order"} | {n: mode.reason for n, mode in MODES.items()}


@dataclass(frozen=True)
class Cell:
    """One case in one mode: a difference, or why there is none."""

    difference: Difference | None = None
    refusal: str = ""

    def passes(self, tolerance: float) -> bool:
        """Whether it is equal within the tolerance, or refused with a reason rather than failed."""
        if self.difference is None:
            return self.refusal.startswith("refused")
        return self.difference.worst <= tolerance and not self.difference.faults

    def show(self, tolerance: float) -> str:
        """For the table."""
        if self.difference is None:
            return "n/a: no plan" if "has no plan" in self.refusal else self.refusal.split(":")[0]
        number = f"{self.difference.worst:.0e}" if self.difference.worst else "exact"
        return number if self.passes(tolerance) else f"**{number}** {'; '.join(self.difference.faults)}".strip()


Row = Mapping[str, Cell]


def make_page(rows: Mapping[str, Row]) -> str:
    """The page: what is compared, the table, the tolerances, and every refusal in its own words."""
    modes = [mode for mode in TITLES if any(mode in row for row in rows.values())]
    return "\n".join([*_introduction(), *_table(rows, modes), *_tolerances(rows, modes), *_refusals(rows)]) + "\n"


def _introduction() -> list[str]:
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, lightning {lightning.__version__}"
    return [
        "# The same training in every mode",
        "",
        "<!-- Written by `make matrix`. -->",
        "",
        f"Each spec is trained for {STEPS} steps (AdamW, learning rate {RATE}, gradients clipped to a norm of {CLIP}) "
        "in each mode, on the same global batches. Compared with the run of one process in float32: the loss of every "
        "step, the norm of all gradients of every step before clipping, and all weights at the end. A cell is the "
        "largest difference, relative to the largest value of the losses, of the norms or of the tensor (to "
        f"{STEPS * RATE:g}, as far as the steps can carry a weight, where a tensor holds less).",
        "",
        "Besides, in every cell: the plan's graph and the parameters that are one object are those of the reference; "
        "the optimizer holds each trainable parameter, each once; all ranks end with the same bits; the checkpoint "
        "of the last step loads into one process with the same bits.",
        "",
        "*By hand* is the reference against a loop in plain torch, which writes the formula of each scheme out and "
        "uses nothing of this package. DDP, FSDP2 and the rest run on CPU processes with gloo.",
        "",
        f"Measured on {date.today().isoformat()} with {versions}.",
        "",
    ]


def _table(rows: Mapping[str, Row], modes: list[str]) -> list[str]:
    lines = ["| spec | " + " | ".join(TITLES[mode] for mode in modes) + " |", "|---|" + "---|" * len(modes)]
    for name, row in rows.items():
        cells = [row[mode].show(TOLERANCES[mode]) if mode in row else "" for mode in modes]
        lines.append(f"| {CASES[name].title.replace('|', '/')} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _tolerances(rows: Mapping[str, Row], modes: list[str]) -> list[str]:
    lines = ["| mode | largest difference | tolerance | why it is not 0 |", "|---|---|---|---|"]
    for mode in modes:
        found = [row[mode].difference for row in rows.values() if mode in row]
        largest = max((each.worst for each in found if each is not None), default=0.0)
        tolerance = f"{TOLERANCES[mode]:.0e}" if TOLERANCES[mode] else "exact"
        lines.append(f"| {TITLES[mode]} | {largest:.0e} | {tolerance} | {REASONS[mode]} |")
    return ["## Tolerances", "", *lines, ""]


def _refusals(rows: Mapping[str, Row]) -> list[str]:
    found = [
        f"* {CASES[name].title}, {TITLES[mode]}: {' '.join(cell.refusal.split())[:400]}"
        for name, row in rows.items()
        for mode, cell in row.items()
        if cell.refusal
    ]
    return ["## Refused", "", *found] if found else []
