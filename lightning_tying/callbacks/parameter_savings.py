"""`ParameterSavings`: a tied module goes in; a table, logged values and the files `sharing.*` come out at fit start."""

# pyright: reportUnknownMemberType=false
# Lightning's loggers are typed in part only.

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_warn
from rich.console import Console
from torch import nn
from typing_extensions import override

from lightning_tying.api import discover, report_savings
from lightning_tying.callbacks.savings.files import write_files
from lightning_tying.callbacks.savings.loggers import log_hyperparameters, log_savings
from lightning_tying.callbacks.savings.run import count_per_token, find_use, read_peak
from lightning_tying.callbacks.savings.table import make_table
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state import find_tied
from lightning_tying.reports.reckoning.reckon_run import find_graphs, reckon_run
from lightning_tying.reports.reckoning.run_savings import RunSavings


class ParameterSavings(Callback):
    """Shows what sharing saves, once, when training starts.

    Parameters, gradients, optimizer state, checkpoint bytes and the bytes sent between processes, gross (a parameter of
    its own at every site) and net, for each sharing group and in total; what is not saved, operations and the cache of
    a decoder, is said too. A Rich table where there is a terminal, else plain text; `tying/…` values for whichever
    loggers there are, the table as text where they show texts; `sharing.json`, `sharing.md`, `sharing.html` and
    `sharing.svg` beside the checkpoints. The numbers are reconciled with `sum(p.numel())`. What is only known later,
    peak memory and the state of an optimizer that is not torch's, is added when it is.

    A module without a plan is told of the ties that it has anyway, so that untied runs can be compared. Nothing is
    written under `fast_dev_run`. Of several of these callbacks in a trainer the first one shows and logs; each writes
    into its own folder.

    Args:
        folder: where the files are written; None for the folder of the checkpoints, without checkpoints the trainer's
            `default_root_dir`.
        show: whether to print the table.

    Raises:
        TieBroken: at fit start, where the sharing groups do not add up to the module's parameters.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, show: bool = True) -> None:
        self.folder = None if folder is None else str(folder)
        self.show = show
        self._run: RunSavings | None = None  # on the first process alone
        self._writes = True

    @property
    @override
    def state_key(self) -> str:
        """Tells this callback's state from that of another one in the same trainer."""
        return self._generate_state_key(folder=self.folder, show=self.show)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, on the first process alone."""
        self._run, self._writes = None, not is_dry(trainer)
        if not trainer.is_global_zero:
            return
        run = reckon_run(pl_module, find_use(trainer, pl_module))
        self._run = replace(run, per_token=count_per_token(trainer, pl_module, run.per_token))
        if self.show and not trainer.barebones and self._is_first(trainer):
            show_savings(self._run)
        self._record(trainer, pl_module, self._run)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the loggers the values as hyperparameters, behind the module's own."""
        if self._run is not None and not is_dry(trainer) and self._is_first(trainer):
            for logger in trainer.loggers:
                log_hyperparameters(logger, self._run)

    def on_sharing_edited(self, trainer: Trainer, pl_module: LightningModule, record: EditRecord) -> None:
        """Reckon, log and write again what is saved after a split or a join."""
        del record
        if self._run is not None:
            run = reckon_run(pl_module, find_use(trainer, pl_module))
            self._run = replace(run, per_token=self._run.per_token, optimizer=run.optimizer or self._run.optimizer)
            self._record(trainer, pl_module, self._run)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report again after the first step, where only that tells the optimizer's state."""
        if self._run is None or self._run.optimizer is not None or not trainer.global_step:
            return
        measured = reckon_run(pl_module, find_use(trainer, pl_module))
        told = measured.optimizer or "unknown: it keeps nothing that can be counted"  # asked once only
        self._run = replace(measured, optimizer=told, per_token=self._run.per_token)
        self._record(trainer, pl_module, self._run)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the peak of memory, where it can be read."""
        peak = read_peak(trainer.strategy.root_device)
        if self._run is not None and peak is not None:
            self._run = replace(self._run, peak_bytes=peak)
            self._record(trainer, pl_module, self._run)

    def _record(self, trainer: Trainer, module: LightningModule, run: RunSavings) -> None:
        """Log and write, unless the run is a dry one."""
        if is_dry(trainer):
            return
        if self._is_first(trainer):
            for logger in trainer.loggers:
                log_savings(logger, run, trainer.global_step)
        if self._writes:
            self._writes = self._write(trainer, module, run)

    def _write(self, trainer: Trainer, module: LightningModule, run: RunSavings) -> bool:
        plan = find_plan(module)
        graphs = [graph for _, _, graph in find_graphs(module)]
        folder = Path(self.folder or _checkpoint_folder(trainer))
        try:
            write_files(folder, plan, graphs, report_savings(plan or discover(module)), run)
        except ConfigError as error:
            rank_zero_warn(
                f"ParameterSavings: {error} Training goes on without these files. Give it a folder that can be "
                "written: ParameterSavings(folder=...)."
            )
            return False
        return True

    def _is_first(self, trainer: Trainer) -> bool:
        """Whether no other one stands before it in the trainer."""
        callbacks = cast("list[Callback]", getattr(trainer, "callbacks", []))  # set at run time
        return next((each for each in callbacks if isinstance(each, ParameterSavings)), self) is self


def find_plan(module: nn.Module) -> Plan | None:
    """The plan of a module, or of the first tied module inside it; None where nothing is tied."""
    return next((state.plan for _, _, state in find_tied(module)), None)


def is_dry(trainer: Trainer) -> bool:
    """Whether the trainer runs under `fast_dev_run`, when nothing is to be written."""
    return bool(getattr(trainer, "fast_dev_run", False))  # a property that Lightning adds to the class at run time


def show_savings(run: RunSavings) -> None:
    """Print the tables with Rich, or as text where there is no terminal."""
    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        console.print(make_table(run))
    else:
        console.print(str(run), markup=False, highlight=False, soft_wrap=True)


def _checkpoint_folder(trainer: Trainer) -> str:
    folder = getattr(trainer.checkpoint_callback, "dirpath", None)
    return str(folder or trainer.default_root_dir)
