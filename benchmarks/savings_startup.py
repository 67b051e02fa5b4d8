"""How long does the savings report take at fit start? 1,000 sites, aliases and derived ones; milliseconds come out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.measure import Timing, time_in_turn, write_result
from lightning_tying import get_plan, report_savings, tie
from lightning_tying.callbacks.savings.files import write_files
from lightning_tying.reports.reckoning.optimizer_state import find_rules
from lightning_tying.reports.reckoning.reckon_run import RunUse, reckon_run

SITES, TENSORS = 1_000, 10
LIMIT = 0.050  # seconds
ALIASES = {"share": ["{l}.{name*} = block[name, l % 10]"]}
DERIVED = {"share": ["{l}.{name*} = block[name, l % 10] + low_rank(1)"]}


def make_model(spec: dict[str, list[str]] | None) -> nn.Module:
    """A module with 1,000 weights in layers of ten, tied by a spec."""
    layers = (nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(TENSORS))) for _ in range(SITES // TENSORS))
    model = nn.Sequential(*layers)
    if spec is not None:
        tie(model, spec)
    return model


def make_report(model: nn.Module, folder: Path) -> Callable[[], object]:
    """All that the callback does at fit start but for printing and logging: reckon, and write the four files."""
    optimizer = torch.optim.AdamW(model.parameters())
    plan = get_plan(model)

    def report() -> None:
        run = reckon_run(model, RunUse(find_rules([optimizer])))
        write_files(folder, plan, [plan.graph], report_savings(plan), run)

    return report


def make_numbers(model: nn.Module) -> Callable[[], object]:
    """The numbers and the table alone."""
    optimizer = torch.optim.AdamW(model.parameters())
    return lambda: str(reckon_run(model, RunUse(find_rules([optimizer]))))


def main() -> None:
    models = {
        "aliases": make_model(ALIASES),
        "derived": make_model(DERIVED),
        "not tied": make_model(None),
    }
    with tempfile.TemporaryDirectory() as folder:
        sides = {f"{name}: numbers and table": make_numbers(model) for name, model in models.items()}
        for name in ("aliases", "derived"):
            sides[f"{name}: all, with the four files"] = make_report(models[name], Path(folder))
        timings = time_in_turn(sides, rounds=9)
    write_result("savings-startup", "The savings report at fit start, 1,000 sites", describe(timings))


def describe(timings: dict[str, Timing]) -> str:
    """A table with the limit beside each time."""
    rows = [f"| {name} | {timing} | {'yes' if timing.median <= LIMIT else 'no'} |" for name, timing in timings.items()]
    head = ["| 1,000 sites | median of 9 (quartiles) | 50 ms or less |", "|---|---|---|"]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    main()
