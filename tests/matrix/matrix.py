"""Names of cases and modes go in; every cell of the matrix comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tests.matrix.by_hand import train_by_hand
from tests.matrix.cases import CASES
from tests.matrix.modes import MODES, REFERENCES
from tests.matrix.outcome import Outcome, compare
from tests.matrix.runs import check_checkpoint, first_weights, run_mode
from tests.matrix.table import BY_HAND, Cell

Cells = dict[str, dict[str, Cell]]


def fill_matrix(names: Iterable[str], modes: Iterable[str], folder: Path, say: Callable[[str], None] = print) -> Cells:
    """Train the reference, then every mode, and compare.

    Args:
        names: of `CASES`.
        modes: of `MODES`, or `by_hand`.
        folder: for the files of the runs.
        say: takes a line about what is going on.

    Returns:
        Cells by case and mode.
    """
    names, modes = list(names), list(modes)
    cells: Cells = {name: {} for name in names}
    wanted = {"single", *(MODES[mode].reference for mode in modes if mode != BY_HAND)}
    references = {mode: train_reference(mode, names, folder) for mode in REFERENCES if mode in wanted}
    for mode in modes:
        reference = references["single" if mode == BY_HAND else MODES[mode].reference]
        if mode == BY_HAND:
            found = {name: train_by_hand(CASES[name], first_weights(name)) for name in names}
        else:
            found = run_mode(mode, names, folder / mode, folder / "reference-single")
        for name in names:
            checked = None if mode == BY_HAND else folder / mode
            cells[name][mode] = make_cell(name, found[name], reference[name], checked)
        say(f"{mode}: " + ", ".join(f"{name} {cells[name][mode].show(float('inf'))}" for name in names))
    return cells


def train_reference(mode: str, names: Iterable[str], folder: Path) -> dict[str, Outcome]:
    """The runs of one process in float32 that others are compared with."""
    reference = run_mode(mode, names, folder / f"reference-{mode}", folder / "reference-single")
    for name, outcome in reference.items():
        if outcome.refusal:
            raise RuntimeError(f"{name}: the reference run: {outcome.refusal}")
    return reference


def make_cell(name: str, found: Outcome, reference: Outcome, checkpoints: Path | None) -> Cell:
    """Compare one run, and the checkpoint that it left, with the reference."""
    if found.refusal:
        return Cell(refusal=found.refusal)
    difference = compare(found, reference, graphs=checkpoints is not None)
    wrong = "" if checkpoints is None else check_checkpoint(name, checkpoints, found)
    if wrong:
        difference = replace(difference, faults=(*difference.faults, wrong))
    return Cell(difference)
