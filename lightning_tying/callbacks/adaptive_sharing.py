"""`AdaptiveSharing`: a tied module that trains and policies go in; a sharing that adjusts itself comes out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import os
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_info, rank_zero_warn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.callbacks.adaptive.carry_out import Carrier
from lightning_tying.callbacks.adaptive.files import write_log, write_timeline
from lightning_tying.callbacks.adaptive.look import Look, count_parameters, look_at
from lightning_tying.callbacks.adaptive.policy import Policy
from lightning_tying.callbacks.adaptive.samples import Samples
from lightning_tying.callbacks.adaptive.start import check_budget, check_policies, check_run, find_limit
from lightning_tying.callbacks.adaptive.view import Proposal, View
from lightning_tying.callbacks.stability import run
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.reports.adaptive.decision import Decision, read_decision
from lightning_tying.spec.dumper import dump_spec


class AdaptiveSharing(Callback):
    """Splits and joins sharing groups while a model trains, as its policies decide by what is measured.

    Edits happen between two optimizer steps, under DDP at the start of an epoch; optimizer, schedules and averaged
    copies follow, and checkpoints carry them. Every decision is told, and kept with its evidence beside the
    checkpoints: `adaptive-sharing.jsonl`; `adaptive-sharing.yaml`, a spec that gives the sharing at the end to the
    untied model; `adaptive-sharing.html`, a timeline. All decisions follow from the run's seed and are the same on all
    processes.

    Args:
        policies: one or several: `ShareThenUnshare`, `SplitOnConflict`, `JoinOnRedundancy`, `Budget`, or classes of
            your own. They are asked in this order.
        folder: where the files are written; None for the folder of the checkpoints, without checkpoints the trainer's
            `default_root_dir`.
        report: whether the timeline is written when training ends.

    Attributes:
        decisions: all of this training so far, those before a resumption included.

    Raises:
        ConfigError: an argument is wrong, or a policy could edit at every step.
    """

    def __init__(
        self,
        policies: Policy | list[Policy],
        folder: str | os.PathLike[str] | None = None,
        report: bool = True,
    ) -> None:
        self.policies = check_policies(policies)
        self.folder = None if folder is None else str(folder)
        self.report = report
        self.decisions: tuple[Decision, ...] = ()
        self._asked: dict[str, int] = {}
        self._begun: int | None = None  # parameters when the training began
        self._limit = find_limit(self.policies)
        self._samples = Samples([each for each in self.policies if each.samples])
        self._forget_run()

    @property
    @override
    def state_key(self) -> str:
        """Tells this callback's state from that of another one in the same trainer."""
        return self._generate_state_key(policies=[each.label for each in self.policies], folder=self.folder)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what could never work, before anything is changed.

        Raises:
            ConfigError: the strategy, the module, the data or the budget does not allow what a policy is there for.
        """
        self._forget_run()
        check_run(trainer, pl_module, self.policies)
        self._look = self._look_at(pl_module)
        self._begun = count_parameters(pl_module) if self._begun is None else self._begun
        for policy in self.policies:
            policy.check(self._view(trainer, pl_module, policy))
        check_budget(pl_module, self.policies, self._view(trainer, pl_module, self.policies[0]))
        self._stepped = trainer.global_step

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Decide, where several processes train: only here can the wrapper be made anew."""
        if trainer.world_size > 1:
            self._decide(trainer, pl_module)

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin to catch gradients, where a step begins that a policy wants sampled."""
        if self._fresh and self._look is not None:
            self._samples.begin(trainer, pl_module, self._look.groups)

    @override
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on gradients are there that a window would not have seen."""
        self._fresh = False

    @override
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Make cosines of what was caught."""
        self._fresh = True
        if self._look is not None:
            self._samples.take(trainer, optimizer, self._look.groups)

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Decide, after an optimizer step."""
        if trainer.world_size == 1 and trainer.global_step != self._stepped:
            self._stepped = trainer.global_step
            self._decide(trainer, pl_module)

    def on_sharing_edited(self, trainer: Trainer, pl_module: LightningModule, record: EditRecord) -> None:
        """Go on with the groups that there are after a split or a join, whoever made it."""
        del trainer, record
        self._look = self._look_at(pl_module)
        self._samples.forget(self._look.groups)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the spec of the sharing as it is now, and the page."""
        self._samples.close()
        if trainer.world_size > 1 and trainer.current_epoch < 2:
            rank_zero_warn(
                "AdaptiveSharing: with several processes edits belong at the start of an epoch, and this run had one "
                "epoch. Give it shorter epochs (limit_train_batches) or more of them."
            )
        if not self._writes(trainer):
            return
        folder, spec = run.find_folder(trainer, self.folder), self._write_spec(pl_module)
        self._write_log(trainer, pl_module)
        if self.report:
            write_timeline(folder, self.decisions, self._begun or 0, trainer.global_step, spec)

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave no trace."""
        self._samples.close()

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave no trace."""
        self._samples.close()
        self._look = None

    @override
    def state_dict(self) -> dict[str, Any]:
        """Decisions and samples, as plain content."""
        return {
            "decisions": [each.to_dict() for each in self.decisions],
            "asked": dict(self._asked),
            "begun": self._begun,
            "samples": self._samples.state_dict(),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there.

        Raises:
            ConfigError: the state is damaged.
        """
        try:
            self.decisions = tuple(read_decision(each) for each in state_dict["decisions"])
            self._asked = {str(label): int(step) for label, step in state_dict["asked"].items()}
            self._begun = state_dict["begun"]
            self._samples.load_state_dict(state_dict["samples"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"AdaptiveSharing: the checkpoint's decisions are damaged: {error}.") from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to a run in this process."""
        return {**self.__dict__, "_look": None}

    def _forget_run(self) -> None:
        self._look: Look | None = None
        self._fresh = True  # no backward pass since the last optimizer step
        self._stepped = -1

    def _decide(self, trainer: Trainer, module: LightningModule) -> None:
        step = trainer.global_step
        for policy in self.policies:
            if policy.is_due(step, trainer.estimated_stepping_batches, self._asked.get(policy.label, 0)):
                self._asked[policy.label] = step
                self._follow(trainer, module, policy)

    def _follow(self, trainer: Trainer, module: LightningModule, policy: Policy) -> None:
        """Carry out what a policy wants, as far as the groups are still there when its turn comes."""
        view = self._view(trainer, module, policy)
        carrier = Carrier(trainer, module, policy, view, self._limit)
        for proposal in policy.propose(view):
            look = self._look_at(module)
            if any(look.find(group) is None for group in proposal.groups) or self._was_refused(proposal, module):
                continue
            decision = carrier.carry_out(proposal)
            self.decisions = (*self.decisions, decision)
            self._tell(trainer, module, decision)
            if decision.action == "join":
                break

    def _was_refused(self, proposal: Proposal, module: LightningModule) -> bool:
        """Whether the same was refused before, when the model was as large as now or smaller."""
        wanted = tuple((group.name, group.sites) for group in proposal.groups)
        refused = [each for each in self.decisions if each.action == "refuse" and each.before == wanted]
        return any(each.parameters <= count_parameters(module) for each in refused)

    def _tell(self, trainer: Trainer, module: LightningModule, decision: Decision) -> None:
        (rank_zero_warn if decision.action == "refuse" else rank_zero_info)(f"AdaptiveSharing: {decision}.")
        if not self._writes(trainer):
            return
        for logger in trainer.loggers:
            logger.log_metrics({"tying/parameters": float(decision.parameters)}, step=decision.step)
        self._write_log(trainer, module)

    def _write_log(self, trainer: Trainer, module: LightningModule) -> None:
        spec = self._write_spec(module)
        write_log(run.find_folder(trainer, self.folder), self.decisions, spec, trainer.global_step)

    def _write_spec(self, module: LightningModule) -> str:
        spec = cast(Any, module).tied_spec
        return "" if spec is None else dump_spec(spec)

    def _writes(self, trainer: Trainer) -> bool:
        return trainer.is_global_zero and not run.is_dry(trainer)

    def _look_at(self, module: LightningModule) -> Look:
        return look_at(module, cast(Any, module).tied_network)

    def _view(self, trainer: Trainer, module: LightningModule, policy: Policy) -> View:
        look = self._look_at(module)
        return View(
            step=trainer.global_step,
            total_steps=trainer.estimated_stepping_batches,
            parameters=count_parameters(module),
            groups=look.groups,
            samples=self._samples.of(policy),
            history=self.decisions,
            distance=look.distance,
        )
