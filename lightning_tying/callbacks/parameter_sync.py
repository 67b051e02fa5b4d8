"""`ParameterSync`: a module that trains and a spec's `sync` go in; its values are averaged, followed or copied."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from lightning_utilities.core.rank_zero import rank_zero_info
from torch.nn.parallel import DistributedDataParallel
from typing_extensions import override

from lightning_tying.callbacks.moments import epoch_ends
from lightning_tying.callbacks.sync.entry import Entry, load_entries
from lightning_tying.callbacks.sync.make_entries import (
    find_network,
    find_spec,
    freeze_copies,
    make_copies,
    make_entries,
)
from lightning_tying.callbacks.sync.rank_parts import gather_parts, take_part
from lightning_tying.callbacks.sync.ranks import RankAverage
from lightning_tying.callbacks.sync.traffic import Traffic
from lightning_tying.errors import ConfigError, TyingError
from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.spec.schema import SharingSpec

_PARTS = "parameter_sync_ranks"


class ParameterSync(Callback):
    """Carries out what a spec shares in time: `average`, `ema`, `lookahead` and `copy` of its section `sync`.

    A round comes after the optimizer step that completes `every`, before validation and checkpoints; `epoch` is the
    last batch of an epoch. Copies are made once, before the optimizers are. With `over: ranks` the processes of DDP
    train apart: no gradient is sent, and each has its own weights, buffers and optimizer state between two rounds. A
    last round at the end of the fit leaves one model. Logged as `tying/sync/rounds`, `bytes` and `bytes_of_ddp`.

    Args:
        sync: entries as in a spec, with patterns relative to the network; None for those of the module's own spec.

    Attributes:
        traffic: what processes that train apart have handed over, beside what plain DDP would have.

    Raises:
        SpecError: when training is set up: an entry is wrong, or does not fit the module, which is unchanged.
        ConfigError: when training is set up: the strategy divides parameters, or a copy's source is missing.
    """

    def __init__(self, sync: list[dict[str, Any]] | None = None) -> None:
        self.sync = sync
        self.traffic = Traffic()
        self._loaded: list[Mapping[str, Any]] | None = None
        self._parts: Sequence[Mapping[str, Any]] | None = None
        self._refused: TyingError | None = None
        self._spec: SharingSpec | None = None
        self._copied, self._resumed = 0, False
        self._forget_run()

    @property
    @override
    def state_key(self) -> str:
        """Tells this callback's state from that of another one in the same trainer."""
        return self._generate_state_key(sync=self.sync)

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the copies, before there are optimizers; a checkpoint that is loaded later has the last word."""
        self._refused, self._copied, self._resumed = None, 0, False
        if stage != "fit":
            return
        self._spec = find_spec(pl_module, self.sync)  # as it is before a checkpoint's edits of the sharing change it
        if self._spec is None:
            return
        try:
            self._copied = make_copies(self._spec, find_network(pl_module))
        except TyingError as error:
            self._refused = error  # of no concern to a fit that is resumed, which is known later

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the parts of processes until the optimizers have their states; no copy is needed any more."""
        self._parts = checkpoint.get(_PARTS)
        self._resumed = True
        if self._spec is not None and self._refused is not None:
            freeze_copies(self._spec, find_network(pl_module))

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the parameters of every entry, and refuse a strategy that divides them."""
        if self._refused is not None and not self._resumed:
            raise self._refused
        self._forget_run()
        if self._spec is None:
            rank_zero_info("ParameterSync does nothing: neither it nor the module's spec has a `sync`.")
            return
        if self._copied and not self._resumed:
            rank_zero_info(f"ParameterSync has copied {self._copied} sites.")
        if not isinstance(trainer.strategy, DDPStrategy | SingleDeviceStrategy):
            raise ConfigError(
                f"ParameterSync works in one process and under DDP; {type(trainer.strategy).__name__} divides or "
                "places the parameters in its own way."
            )
        self._entries = make_entries(self._spec, find_network(pl_module), self.traffic)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on from a checkpoint, take the first copies, and let processes train apart where that is asked for."""
        states, self._loaded = self._loaded, None
        parts, self._parts = self._parts, None
        if states is not None:
            load_entries(self._entries, states)
        if parts:
            take_part(trainer, pl_module, parts)
        for entry in self._entries:
            entry.start()
        self._seen = trainer.global_step
        model: Any = trainer.strategy.model
        if self._is_apart() and isinstance(model, DistributedDataParallel):
            self._open.enter_context(model.no_sync())

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count what was trained on; make the rounds that are due."""
        stepped = trainer.global_step > self._seen
        self._seen = trainer.global_step
        ends = bool(self._entries) and epoch_ends(trainer)
        if stepped and self._is_apart() and trainer.world_size > 1:
            self.traffic.add_step(pl_module.parameters())
        made = 0
        for entry in self._entries:
            entry.see(batch)
            entry.since += stepped
            made += entry.step(trainer.optimizers, epoch_ends=ends)
        if made:
            self._log(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave one model on all processes, and say what they sent."""
        for entry in self._entries:
            entry.finish(trainer.optimizers)
        if self._is_apart() and self.traffic.rounds:
            self._log(trainer)
            rank_zero_info(f"ParameterSync: {self.traffic}.")
        self._open.close()

    def on_sharing_edited(self, trainer: Trainer, pl_module: LightningModule, record: EditRecord) -> None:
        """Go on with the parameters that a split or a join has left; what is kept beside them is split and joined too.

        Raises:
            SpecError: what was joined is all that an entry averages.
        """
        if self._spec is None or not self._entries:
            return
        before, self._entries = self._entries, make_entries(self._spec, find_network(pl_module), self.traffic)
        joins_mean = record.kind == "join" and record.init == "mean"
        for entry, old in zip(self._entries, before, strict=True):
            entry.follow_edit(old, joins_mean=joins_mean)
            entry.start()
        model: Any = trainer.strategy.model
        if self._is_apart() and isinstance(model, DistributedDataParallel):
            self._open.close()  # of the wrapper of before
            self._open.enter_context(model.no_sync())

    @override
    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the averages that stand beside the weights."""
        self._show(shown=True)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights back."""
        self._show(shown=False)

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the averages that stand beside the weights."""
        self._show(shown=True)

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the weights back."""
        self._show(shown=False)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put the weights back, and let DDP reduce again."""
        self._show(shown=False)
        self._open.close()

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the parts of processes that train apart; Lightning calls this in each of them."""
        if self._is_apart() and trainer.world_size > 1:
            checkpoint[_PARTS] = gather_parts(trainer, pl_module)

    @override
    def state_dict(self) -> dict[str, Any]:
        """What the next rounds need."""
        return {"entries": [entry.state_dict() for entry in self._entries], "traffic": self.traffic.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there when training starts."""
        self._loaded = state_dict["entries"]
        self.traffic = Traffic(**state_dict["traffic"])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a run in this process."""
        return {**self.__dict__, "_entries": [], "_open": None, "_parts": None, "_spec": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_run()

    def _forget_run(self) -> None:
        self._entries: list[Entry] = []
        self._open = ExitStack()
        self._seen = 0
        self._shown = False

    def _is_apart(self) -> bool:
        return any(isinstance(entry, RankAverage) for entry in self._entries)

    def _show(self, *, shown: bool) -> None:
        if shown != self._shown:
            self._shown = shown
            for entry in self._entries:
                entry.swap()

    def _log(self, trainer: Trainer) -> None:
        if not self.traffic.rounds:
            return
        numbers = {"rounds": self.traffic.rounds, "bytes": self.traffic.sent, "bytes_of_ddp": self.traffic.plain}
        for logger in trainer.loggers:
            logger.log_metrics(
                {f"tying/sync/{key}": float(value) for key, value in numbers.items()}, trainer.global_step
            )
