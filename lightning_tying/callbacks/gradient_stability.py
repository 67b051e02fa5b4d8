"""`GradientStability`: a tied module that trains goes in; how far the uses of what it shares agree comes out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.callbacks.stability import run
from lightning_tying.callbacks.stability.groups import check_members, choose_groups, find_left
from lightning_tying.callbacks.stability.log import log_pictures, log_records
from lightning_tying.callbacks.stability.movement import Movement
from lightning_tying.callbacks.stability.options import require_count, require_patterns, require_word
from lightning_tying.callbacks.stability.page import write_page
from lightning_tying.callbacks.stability.sample import check_part, make_sink, take_records
from lightning_tying.callbacks.stability.tables import NO_TABLES, Tables
from lightning_tying.callbacks.stability.watch import Alarm, GroupWatch
from lightning_tying.callbacks.stability.window import Part, Window, make_parts
from lightning_tying.gradients.combining.combine import make_combination
from lightning_tying.gradients.combining.member_gradients import combine_members
from lightning_tying.gradients.shared import SharedParameter
from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.reports.stability.history import FILE_NAME, read_history
from lightning_tying.reports.stability.record import Pairs, Record


class GradientStability(Callback):
    """Measures at sampled steps what each use of a shared parameter adds to its gradient; training stays as it is.

    Logged as `tying/<group>/kappa` (coherence: 1 where all uses agree, 1 / K where K uses have nothing in common, 0
    where they cancel), `conflict`, `share/<use>` and more; written to `stability.jsonl` beside the checkpoints, from
    which `lightning-tying report` makes a page, too. A step is sampled from its first batch to its last one.

    Args:
        every_n_steps: which steps are sampled: the first, and one in so many.
        groups: names in which `*` is any text, of sharing groups or of places that read them; None for all.
        by: what is told apart: single uses, or with `member` the models of a `JointTraining`, each with the sum of its
            uses; `combine` then weighs members, by their gradients of all that two of them share.
        max_uses: groups with more uses have no pairs: norms and coherence alone.
        pairs: how cosines of two uses are found: not at all (`none`: norms and coherence are exact without), from a
            random projection (`sketch`), or from all gradients (`exact`, a copy of the parameter for each use).
        self_check: whether the first sample of a run is compared with `.grad`, to which the uses must add up.
        on_conflict: what happens when the uses of a group cancel each other in three samples in turn: nothing, `warn`,
            or `stop` the training.
        combine: what becomes of the gradient at every step: `sum`, as it is; `mean` and `sqrt`, each use times 1 / K
            and 1 / √K; `norm_balanced`, all uses with the mean norm; or the name of one of torchjd's aggregators, as
            `pcgrad`, with options as a mapping: `{name: cagrad, c: 0.5}`. All but the first three keep a copy of the
            parameter for each use, and run in one process or under DDP.
        folder: where `stability.jsonl` is written; None for the folder of the checkpoints, without checkpoints the
            trainer's `default_root_dir`.
        report: whether `stability.html` is written beside it when training ends.

    Attributes:
        alarms: what was alarming in this run.

    Raises:
        ConfigError: an argument is wrong, or the package that `combine` needs is missing.
    """

    def __init__(
        self,
        every_n_steps: int = 50,
        groups: str | list[str] | None = None,
        *,
        by: Literal["use", "member"] = "use",
        max_uses: int = 64,
        pairs: Pairs = "none",
        self_check: bool = True,
        on_conflict: Literal["warn", "stop"] | None = None,
        combine: str | dict[str, Any] = "sum",
        folder: str | os.PathLike[str] | None = None,
        report: bool = True,
    ) -> None:
        self.every_n_steps = require_count("every_n_steps", every_n_steps, 1)
        self.max_uses = require_count("max_uses", max_uses, 2)
        self.groups = require_patterns(groups)
        self.by = require_word("by", by, ("use", "member"))
        self.pairs: Pairs = require_word("pairs", pairs, ("sketch", "exact", "none"))
        self.self_check = self_check
        self.on_conflict = require_word("on_conflict", on_conflict, (None, "warn", "stop"))
        self.combine = combine
        self.folder = None if folder is None else str(folder)
        self.report = report
        self.alarms: list[Alarm] = []
        combination = make_combination(combine)
        self._combination = combine_members(combination) if by == "member" else combination
        self._watches: dict[str, GroupWatch] = {}
        self._last: int | None = None  # global_step // every_n_steps of the last sample
        self._forget_run()

    @property
    @override
    def state_key(self) -> str:
        """Tells this callback's state from that of another one in the same trainer."""
        told = {"every_n_steps": self.every_n_steps, "groups": self.groups, "pairs": self.pairs}
        if self.by != "use":
            told["by"] = self.by
        return self._generate_state_key(**told, combine=self.combine, folder=self.folder)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the groups, and say once why nothing is measured, where that is so.

        Raises:
            ConfigError: a pattern matches nothing, or the gradients cannot be combined under this strategy.
        """
        self._forget_run()
        obstacle = run.find_obstacle(trainer)
        if obstacle is not None:
            run.refuse_combination(self.combine, self._combination is not None, obstacle)
            rank_zero_warn(f"GradientStability is off: {obstacle} leaves no gradients of single uses to be seen.")
            return
        needs = self._combination is not None and self._combination.needs_gradients
        run.refuse_combination(self.combine, needs, run.find_strategy(trainer, pl_module))
        if self.by == "member":
            check_members(pl_module)
        self._groups = choose_groups(pl_module, self.groups)
        self._tables = Tables(trainer, pl_module, self._groups)
        if not self._groups:
            rank_zero_info("GradientStability measures nothing: this model has no shared parameter that is trained.")
        claims = [each.find_claim(trainer) for each in run.list_before(trainer, self)]
        run.warn_of_doubles(*self.find_claim(trainer), claims)

    def find_claim(self, trainer: Trainer) -> tuple[Path, set[str]]:
        """Where this run's records are written, and of which groups they are."""
        return run.find_folder(trainer, self.folder), {str(group.name) for group in self._groups}

    def on_sharing_edited(self, trainer: Trainer, pl_module: LightningModule, record: EditRecord) -> None:
        """Go on with the groups that there are after a split or a join; those of other uses begin anew."""
        reopens = self._window is not None
        self._close()
        for name, _ in (*record.before, *record.after):
            self._watches.pop(name, None)
        self._groups = find_left(pl_module, self.groups)
        self._tables = Tables(trainer, pl_module, self._groups)
        if reopens:
            self.on_train_batch_start(trainer, pl_module, None, 0)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin to catch, where a step begins that is sampled or combined."""
        if not self._groups or self._window is not None or not self._fresh:
            return
        number = trainer.global_step // self.every_n_steps
        sampled = self._last != number
        if not sampled and self._combination is None:
            return
        check = sampled and self.self_check and not self._checked and not run.changes_sums(trainer)
        sink = partial(make_sink, self.pairs, self._tables.names, by_member=self.by == "member") if sampled else None
        parts = make_parts(trainer.optimizers, self._groups, sink, check, self._combination)
        self._sampled = number if sampled else None
        self._window = Window(pl_module, parts)

    @override
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on gradients are there that a window would not have seen."""
        self._fresh = False

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Make numbers of what was caught, and combine it, before gradients are clipped.

        Raises:
            ApplyError: the uses of a group do not add up to its gradient.
        """
        self._fresh = True
        part = self._window.take(optimizer) if self._window is not None else None
        if self._window is not None and not self._window.parts:
            self._window = None
        if part is None:
            return
        scale = run.find_scale(trainer)
        unscale = 1.0 if run.unscales_itself(optimizer) else 1 / scale
        self._measure(trainer, part, scale, unscale)
        if self._combination is not None and part.combined is not None:
            self._combination.write(part.combined, part.parameters, unscale)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log and write what was measured in this batch, now that the optimizer has moved the parameters."""
        records, movement = self._records, self._movement
        self._records, self._movement = [], None
        if movement is not None:
            self._tell(trainer, records, movement.measure())

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show pictures in the loggers, and write the page."""
        self._close()
        path = run.find_folder(trainer, self.folder) / FILE_NAME
        if run.is_dry(trainer) or not trainer.is_global_zero or not self._wrote:
            return
        records = read_history(path).records
        log_pictures(trainer.loggers, records)
        if self.report:
            write_page(records, path.parent)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no trace."""
        self._close()

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave no trace."""
        self._close()
        self._groups = []

    @override
    def state_dict(self) -> dict[str, Any]:
        """What is remembered of the samples."""
        return {"last": self._last, "groups": {name: watch.state_dict() for name, watch in self._watches.items()}}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._last = state_dict["last"]
        self._watches = {name: GroupWatch.from_state(state) for name, state in state_dict["groups"].items()}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a run in this process."""
        here: dict[str, Any] = {"_window": None, "_groups": [], "_tables": NO_TABLES, "_records": [], "_movement": None}
        return {**self.__dict__, **here}

    def _forget_run(self) -> None:
        self._groups: list[SharedParameter] = []
        self._tables = NO_TABLES
        self._window: Window | None = None
        self._sampled: int | None = None
        self._fresh = True  # no backward pass since the last optimizer step
        self._checked = False
        self._wrote, self._writes = False, True
        self._records: list[Record] = []
        self._movement: Movement | None = None

    def _close(self) -> None:
        if self._window is not None:
            self._window.close()
            self._window = None

    def _measure(self, trainer: Trainer, part: Part, scale: float, unscale: float) -> None:
        if part.sink is None:
            return
        found = part.sink.finish(scale)
        if run.has_scaler(trainer) and not all(numbers.finite for numbers in found.values()):
            return  # the scaler leaves this step out; the next one is sampled in its place
        self._last = self._sampled
        self._checked = self._checked or part.check is not None
        check_part(part, unscale, trainer.lightning_module.automatic_optimization)
        chosen = {name: numbers for name, numbers in found.items() if self.groups or len(numbers.keys) > 1}
        names = {str(name): part.parameters[name] for name in chosen}
        rows = self._tables.measure(chosen) if trainer.is_global_zero else {}
        self._records += take_records(trainer.global_step, chosen, self._watches, self.max_uses, rows)
        self._movement = Movement({**(self._movement.parameters if self._movement else {}), **names})

    def _tell(self, trainer: Trainer, records: Sequence[Record], moved: Mapping[str, float]) -> None:
        records = [replace(each, update_to_weight=moved.get(each.group, each.update_to_weight)) for each in records]
        alarms = [alarm for record in records for alarm in self._watches[record.group].judge(record)]
        self.alarms += alarms
        run.react(trainer, alarms, self.on_conflict)
        if not records or run.is_dry(trainer) or not trainer.is_global_zero:
            return
        if self._writes:
            self._writes = run.write_records(run.find_folder(trainer, self.folder) / FILE_NAME, records)
            self._wrote = self._wrote or self._writes
        log_records(trainer.loggers, records, records[-1].step)
