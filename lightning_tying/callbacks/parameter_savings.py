"""`ParameterSavings`: a tied module goes in; a table, logged values and `sharing.json` come out at fit start."""

# pyright: reportUnknownMemberType=false
# Lightning's loggers are typed in part only.

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from rich.console import Console
from torch import nn
from typing_extensions import override

from lightning_tying.api import discover, report_savings
from lightning_tying.callbacks.savings_table import make_table
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state import find_tied
from lightning_tying.reports.savings import SavingsReport

FILE_NAME = "sharing.json"


class ParameterSavings(Callback):
    """Shows what sharing saves, once, when training starts.

    A Rich table where there is a terminal, else plain text; `tying/…` values for whichever loggers there are; the plan
    and its savings in `sharing.json` beside the checkpoints. The numbers are the plan's forecast; of a module without a
    plan they are those of the ties that it has anyway, so that untied runs can be compared. Nothing is written under
    `fast_dev_run`.

    Args:
        folder: where `sharing.json` is written; None for the folder of the checkpoints, without checkpoints the
            trainer's `default_root_dir`.
        show: whether to print the table.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, show: bool = True) -> None:
        self.folder = None if folder is None else str(folder)
        self.show = show

    @property
    @override
    def state_key(self) -> str:
        """Tells this callback's state from that of another one in the same trainer."""
        return self._generate_state_key(folder=self.folder, show=self.show)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, on the first process alone."""
        if not trainer.is_global_zero:
            return
        plan = find_plan(pl_module)
        report = report_savings(plan or discover(pl_module))
        if self.show and not trainer.barebones:
            show_report(report)
        if is_dry(trainer):
            return
        for logger in trainer.loggers:
            log_report(logger, report)
        write_sharing(Path(self.folder or _checkpoint_folder(trainer)) / FILE_NAME, plan, report)


def find_plan(module: nn.Module) -> Plan | None:
    """The plan of a module, or of the first tied module inside it; None where nothing is tied."""
    return next((state.plan for _, _, state in find_tied(module)), None)


def is_dry(trainer: Trainer) -> bool:
    """Whether the trainer runs under `fast_dev_run`, when nothing is to be written."""
    return bool(getattr(trainer, "fast_dev_run", False))  # a property that Lightning adds to the class at run time


def show_report(report: SavingsReport) -> None:
    """Print the table with Rich, or as text where there is no terminal."""
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(make_table(report))
    else:
        console.print(str(report), markup=False, highlight=False, soft_wrap=True)


def log_report(logger: Logger, report: SavingsReport) -> None:
    """Give the numbers to a logger; a text panel to TensorBoard."""
    values = {
        "tying/parameters": float(report.after.parameters),
        "tying/parameters_untied": float(report.before.parameters),
        "tying/saved": report.saved,
    }
    logger.log_metrics(values, step=0)
    if isinstance(logger, TensorBoardLogger):
        cast(Any, logger.experiment).add_text("tying/savings", f"```\n{report}\n```", 0)


def write_sharing(path: Path, plan: Plan | None, report: SavingsReport) -> None:
    """Write plan and savings; an interrupted write leaves the old file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"plan": plan and plan.to_dict(), "savings": report.to_dict()}, indent=1, ensure_ascii=False)
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    beside.write_text(content + "\n", encoding="utf-8")
    os.replace(beside, path)


def _checkpoint_folder(trainer: Trainer) -> str:
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    return str(folder or trainer.default_root_dir)
