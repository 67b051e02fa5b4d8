"""`JointTraining`: named members, each with its network and task, go in; one LightningModule that trains them, out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule
from torch import Tensor, nn
from typing_extensions import override

from lightning_tying.errors import ConfigError, TyingError
from lightning_tying.spec.nearest import suggest
from lightning_tying.tasks.joint.batches import check_draws, find_parts
from lightning_tying.tasks.joint.export_member import export_member, find_written
from lightning_tying.tasks.joint.loss_weights import Weights, make_loss_weights
from lightning_tying.tasks.joint.member_hooks import MemberHooks
from lightning_tying.tasks.joint.member_view import count_rows, member_key, redirect_logs, show_run
from lightning_tying.tasks.joint.members import build_late, check_members, give_back, is_waiting, take_network
from lightning_tying.tasks.optimizers.optimization import LRSchedulerCallable, OptimizerCallable, default_optimizer
from lightning_tying.tasks.sharing_source import Sharing
from lightning_tying.tasks.task import Task
from lightning_tying.tasks.tied_module import TiedModule

MEMBERS_KEY = "members"


class JointTraining(MemberHooks, Task):
    """Trains several models together, tied by one spec over `models.‹member›.…`.

    A step adds the losses of the members that it has a batch of: `{member: batch}`, from `JointData` or from
    `CombinedLoader({member: loader}, …)`. For validation, test and prediction every member has a loader of its own.
    Members log as they do alone, with their names behind the stage: `val/digits/accuracy`; `train/loss` is the sum
    that is trained.

    Args:
        members: LightningModules by name, one or more: tasks of this package without spec, optimizer and schedule of
            their own, or any other. A member's `network` becomes `models.‹member›`; one without becomes it as a whole.
        sharing: the sharing spec: a path (in a run config relative to it), YAML text, or the mapping itself.
        weights: of the members' losses, 1 where none is given; `uncertainty` learns them (Kendall et al. 2018).
        monitor: the member whose metric chooses the best checkpoint; the first where none is given.
        optimizer: makes the optimizer of all members. Default: AdamW with a learning rate of 0.001.
        lr_scheduler: makes the schedule, which is stepped after every optimizer step.
        init_from: a checkpoint or state dict of the untied members, with the keys `models.‹member›.…`.

    Raises:
        SpecError: the spec is wrong or does not fit the members.
        ConfigError: the members, the weights or a file is wrong.
    """

    def __init__(
        self,
        members: dict[str, LightningModule],
        sharing: Sharing | None = None,
        *,
        weights: Weights | None = None,
        monitor: str | None = None,
        optimizer: OptimizerCallable = default_optimizer,
        lr_scheduler: LRSchedulerCallable | None = None,
        init_from: str | Path | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["members", "sharing", "optimizer", "lr_scheduler"])
        if "_instantiator" in self.hparams:
            self.save_hyperparameters()  # of a run config: plain content
        self.written = find_written(cast("Mapping[str, Any]", self.hparams))
        check_members(members)
        self.loss_weights = make_loss_weights(weights, list(members))
        self.make_optimizer = optimizer
        self.make_lr_scheduler = lr_scheduler
        self.rows_of_batch = 1
        self.models, self.members = nn.ModuleDict(), nn.ModuleDict()
        self._names = list(members)
        self._waiting: dict[str, LightningModule] = {}
        try:
            for name, task in members.items():
                self._add(name, task)
            self._choose_monitor(monitor)
            build = self._build_all if self._waiting else None
            self.tie_network(sharing, build=build, init_from=init_from)
        except TyingError:
            for task in members.values():
                give_back(task)
            raise

    def task(self, member: str) -> LightningModule:
        """The LightningModule of a member.

        Raises:
            ConfigError: there is no such member.
        """
        found = dict(self.named_tasks()).get(member)
        if found is None:
            near = suggest(member, self._names)
            raise ConfigError(f"There is no member `{member}`.{near} Members: {', '.join(self._names)}.")
        return found

    def export_member(self, member: str, path: str | Path, *, force: bool = False) -> None:
        """Write one member as an ordinary checkpoint of its task, its shared weights included.

        Its keys are those of the task alone (`network.…`), derived values are written out, and no spec is needed to
        load it: `Classification.load_from_checkpoint(path, network=…)`, or `init_from`.

        Args:
            member: its name.
            path: of the file.
            force: whether a file that is there is replaced.

        Raises:
            ConfigError: there is no such member, it is not built yet, or the file cannot be written.
        """
        export_member(self, self.task(member), member, Path(path), self.written, force=force)

    @property
    @override
    def tied_network(self) -> nn.Module:
        """This module: the spec's patterns begin with `models.`."""
        return self

    @override
    def tie_now(self) -> None:
        """Build the members that are built late, then tie all."""
        for name, task in list(self._waiting.items()):
            build_late(name, task)
            self._add(name, task)
            del self._waiting[name]
        super(TiedModule, self).tie_now()  # the mixin's own builds `self.network`, which there is none of
        if self.tied_spec is not None:
            self._remember_spec()

    @override
    def setup(self, stage: str) -> None:
        """Show the members their part of the run."""
        super().setup(stage)
        show_run(self, dict(self.named_tasks()))
        self.call_members("setup", stage)

    @override
    def teardown(self, stage: str) -> None:
        """Let the members clean up."""
        self.call_members("teardown", stage)
        super().teardown(stage)

    @override
    def on_fit_start(self) -> None:
        """Check ties and optimizer, of the members their vocabularies, and that the strategy takes the data's draws."""
        super().on_fit_start()
        check_draws(self.trainer)

    @override
    def forward(self, *inputs: Any) -> Any:
        """What the network of a member says: its name first, then the network's inputs."""
        member, *rest = inputs
        self.task(member)
        return self.models[member](*rest)

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """The weighted sum of the members' losses."""
        losses: dict[str, Tensor] = {}
        rows = 0
        for name, part in self.list_parts(batch, 0, None):
            outcome = self._call(name, "training_step", part, batch_idx)
            loss = cast("Mapping[str, Any]", outcome)["loss"] if isinstance(outcome, Mapping) else outcome
            rows += self.rows_of_batch
            if loss is not None:
                losses[name] = loss
        if not losses:
            return None
        total = self.loss_weights(losses)
        self.log("train/loss", total.detach(), prog_bar=True, batch_size=rows)
        for name, weight in self.loss_weights.current().items():
            self.log(f"tying/weight/{name}", weight, batch_size=rows)
        return total

    @override
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The validation step of the member whose batch it is."""
        for name, part in self.list_parts(batch, dataloader_idx, "val"):
            self._call(name, "validation_step", part, batch_idx)

    @override
    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """The test step of the member whose batch it is."""
        for name, part in self.list_parts(batch, dataloader_idx, "test"):
            self._call(name, "test_step", part, batch_idx)

    @override
    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        """What the member whose batch it is predicts."""
        ((name, part),) = self.list_parts(batch, dataloader_idx, "predict")
        return self._call(name, "predict_step", part, batch_idx)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what each member keeps of its data (classes, a vocabulary), by name."""
        super().on_save_checkpoint(checkpoint)
        kept: dict[str, dict[str, Any]] = {}
        for name, task in self.named_tasks():
            if name in self.written:
                kept[name] = {self.CHECKPOINT_HYPER_PARAMS_KEY: self.written[name]}
            task.on_save_checkpoint(kept.setdefault(name, {}))
        checkpoint[MEMBERS_KEY] = kept

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give each member what it kept."""
        super().on_load_checkpoint(checkpoint)
        kept = cast("Mapping[str, dict[str, Any]]", checkpoint.get(MEMBERS_KEY) or {})
        for name, task in self.named_tasks():
            part = dict(kept.get(name, {}))
            if self.CHECKPOINT_HYPER_PARAMS_KEY in part:
                self.written.setdefault(name, part[self.CHECKPOINT_HYPER_PARAMS_KEY])
            task.on_load_checkpoint(part)

    @override
    def check_batch(self, batch: object) -> None:
        """Refuse batches that are not of members."""
        list(self.list_parts(batch, 0, None))

    @override
    def list_parts(self, batch: Any, dataloader_idx: int, stage: str | None) -> Iterable[tuple[str, Any]]:
        loaders = getattr(getattr(self, "_trainer", None), f"{stage}_dataloaders", None) if stage else None
        return find_parts(batch, self._names, loaders, dataloader_idx, stage)

    @override
    def list_tasks(self) -> Iterable[LightningModule]:
        return [task for _, task in self.named_tasks()]

    @override
    def named_tasks(self) -> Iterable[tuple[str, LightningModule]]:
        for name in self._names:
            holder = next((each for each in (self._waiting, self.members) if name in each), self.models)
            yield name, cast(LightningModule, holder[name])

    def _call(self, member: str, step: str, part: Any, batch_idx: int) -> Any:
        self.rows_of_batch = count_rows(part)
        return getattr(self.task(member), step)(part, batch_idx)

    def _add(self, name: str, task: LightningModule) -> None:
        """Put a member where the spec finds it; one that is not built yet has to wait."""
        if is_waiting(task):
            self._waiting[name] = task
            return
        network = take_network(task)
        if network is not None:
            self.models[name] = network
        if network is not task:
            self.members[name] = task
        redirect_logs(self, name, task)

    def _build_all(self) -> nn.Module:
        """Tells the mixin that there is something to build; `tie_now` does it."""
        return self

    def _choose_monitor(self, member: str | None) -> None:
        chosen = self.task(self._names[0] if member is None else member)
        name = next(name for name, task in self.named_tasks() if task is chosen)
        setattr(self, "monitor", member_key(getattr(chosen, "monitor", "val/loss"), name))  # noqa: B010  # a class variable of other tasks
        setattr(self, "monitor_mode", getattr(chosen, "monitor_mode", "min"))  # noqa: B010
