"""Write docs/reference/survival.md from the survival table: `python -m tests.survival.make_page`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.survival.operation import Cell, Operation, Outcome
from tests.survival.table import SECTIONS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "survival.md"
LEGEND = {
    Outcome.HOLDS: "torch keeps the tie, and nothing has to be done.",
    Outcome.RESTORED: "torch loses it, and the tied module restores it before the call returns.",
    Outcome.REFUSED: "an error, before anything has changed; its text says what to do.",
    Outcome.DETECTED: (
        "torch asks nobody, so the tie is gone; the next `verify` says so, with the sharing group, the sites and what "
        "has probably happened. `verify` runs by itself when a fit and its training begin, before a checkpoint is "
        "saved and after weights are loaded."
    ),
    Outcome.UNTIED: "the sites have parameters of their own, as was asked for.",
}
INTRODUCTION = (
    "What becomes of a tie when a tied module is moved, copied, loaded, wrapped or changed. Every cell of these tables "
    "is a test, which does the operation and checks what the cell says: the one `nn.Parameter` at every place, "
    "outputs, and the gradients of the shared parameters, or the words of the message. "
    "Three ways of sharing a weight of two layers are tried: an **alias** (`W` and `W`), a **transposed** one "
    "(`W` and `t(W)`), and a **delta** (`W + low_rank(2)` twice)."
)
UNTESTED = (
    "**Untested** here: bitsandbytes, and torchao (`verify` sees their tensors as any other parameter that was "
    "replaced); conversions on devices other than the CPU; `torch.jit.script`. The rows on sharding are one process "
    "with gloo. "
    "A reentrant checkpoint that is called inside a `forward` cannot be seen from outside: `verify` finds the wrappers "
    "of `apply_activation_checkpointing` and what `gradient_checkpointing_enable` of transformers leaves, and under "
    "DDP torch refuses the rest in the first backward pass."
)


def write_cell(cell: Cell) -> str:
    """What stands in the table."""
    return cell.outcome.value


def write_row(operation: Operation) -> str:
    """One line of a table."""
    title = operation.title.replace("|", "\\|")
    note = f" {operation.note}" if operation.note else ""
    return f"| {title} | {' | '.join(map(write_cell, operation.cells))} |{note} |"


def make_page() -> str:
    """The whole page."""
    legend = "\n".join(f"* **{outcome.value}**: {text}" for outcome, text in LEGEND.items())
    parts = ["# What a tie survives", INTRODUCTION, legend]
    for section, operations in SECTIONS.items():
        head = "| operation | alias | transposed | delta | |\n| :--- | :--- | :--- | :--- | :--- |"
        parts += [f"## {section}", "\n".join([head, *map(write_row, operations)])]
    parts += ["## What is not in the tables", UNTESTED]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(make_page(), encoding="utf-8")
    sys.stdout.write(f"{sum(map(len, SECTIONS.values()))} operations in {PAGE.name}\n")


if __name__ == "__main__":
    main()
