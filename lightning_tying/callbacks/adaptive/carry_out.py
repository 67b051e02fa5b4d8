"""What a policy wants in; the module edited, or left as it was, and the decision with its evidence out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer

from lightning_tying.api import tie
from lightning_tying.callbacks.adaptive.budget import fit_parts
from lightning_tying.callbacks.adaptive.join_on_redundancy import JoinOnRedundancy, keeps
from lightning_tying.callbacks.adaptive.look import count_parameters
from lightning_tying.callbacks.adaptive.policy import Policy
from lightning_tying.callbacks.adaptive.trial import count_added, try_join
from lightning_tying.callbacks.adaptive.validation import measure_loss
from lightning_tying.callbacks.adaptive.view import Proposal, View
from lightning_tying.errors import ApplyError, SharingWarning
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.lowering.edits.edited_plan import spec_of_nothing
from lightning_tying.lowering.edits.join import prepare_join
from lightning_tying.lowering.edits.split import prepare_split
from lightning_tying.lowering.state import find_tied
from lightning_tying.reports.adaptive.decision import Action, Decision, Groups
from lightning_tying.tasks.edits import EditRecord, join_in_training, split_in_training


@dataclass(frozen=True, eq=False)
class Carrier:
    """Carries out what one policy wants at one moment.

    Args:
        trainer: that fits the module.
        module: the LightningModule.
        policy: that wants it.
        view: by which it decided.
        limit: of the model's parameters; None for none.
    """

    trainer: Trainer
    module: LightningModule
    policy: Policy
    view: View
    limit: int | None

    def carry_out(self, proposal: Proposal) -> Decision:
        """Split; or try a join and keep it or not. What cannot be done is a decision, too: `refuse`."""
        try:
            return self._split(proposal) if proposal.kind == "split" else self._join(proposal)
        except ApplyError as error:
            return self._leave("refuse", proposal, f"it cannot be done: {error}", proposal.evidence)

    def _split(self, proposal: Proposal) -> Decision:
        group = proposal.groups[0]
        added = count_added(prepare_split(self.module, group.name, proposal.partition))
        room = None if self.limit is None else self.limit - count_parameters(self.module)
        if room is not None and added > room:
            return self._fit(proposal, added, room)
        record = split_in_training(self.module, group.name, proposal.partition)
        return self._tell(record, proposal.reason, proposal.evidence)

    def _fit(self, proposal: Proposal, added: int, room: int) -> Decision:
        """A split into as many parts as there is room for."""
        parts = len(proposal.partition)
        fitting = fit_parts(added // (parts - 1), parts, room)
        smaller = self.policy.shrink(proposal, self.view, fitting) if 2 <= fitting < parts else None
        evidence = {**proposal.evidence, "room": room, "added": added, "limit": self.limit}
        if smaller is None:
            reason = f"the budget of {self.limit} parameters has room for {room} more, and this split needs {added}"
            return self._leave("refuse", proposal, reason, evidence)
        record = split_in_training(self.module, proposal.groups[0].name, smaller.partition)
        reason = f"{smaller.reason}; the budget of {self.limit} parameters has no room for {parts} parts"
        return self._tell(record, reason, {**smaller.evidence, "room": room, "limit": self.limit})

    def _join(self, proposal: Proposal) -> Decision:
        names = [group.name for group in proposal.groups]
        tie_by_nothing(self.module)
        edit = prepare_join(self.module, names, proposal.init)
        metric = self.policy.metric if isinstance(self.policy, JoinOnRedundancy) else None
        before = measure_loss(self.trainer, self.module, metric)
        after = try_join(edit, lambda: measure_loss(self.trainer, self.module, metric))
        rise = after - before
        evidence = {**proposal.evidence, "loss_before": before, "loss_after": after, "rise": rise}
        told = f"{proposal.reason}; joined, the validation loss goes from {before:.6g} to {after:.6g}"
        if not keeps(before, after, proposal.epsilon):
            reason = f"{told}, not less than {proposal.epsilon:g} more: undone"
            return self._leave("undo", proposal, reason, evidence)
        record = join_in_training(self.module, names, proposal.init)
        return self._tell(record, f"{told}, less than {proposal.epsilon:g} more: kept", evidence)

    def _leave(self, action: Action, proposal: Proposal, reason: str, evidence: Mapping[str, Any]) -> Decision:
        groups = tuple((group.name, group.sites) for group in proposal.groups)
        return self._make(action, (groups, groups), reason, evidence)

    def _tell(self, record: EditRecord, reason: str, evidence: Mapping[str, Any]) -> Decision:
        return self._make(record.kind, (record.before, record.after), reason, evidence)

    def _make(
        self, action: Action, groups: tuple[Groups, Groups], reason: str, evidence: Mapping[str, Any]
    ) -> Decision:
        return Decision(
            step=self.trainer.global_step,
            epoch=self.trainer.current_epoch,
            policy=self.policy.label,
            action=action,
            before=groups[0],
            after=groups[1],
            parameters=count_parameters(self.module),
            reason=reason,
            evidence=evidence,
        )


def tie_by_nothing(module: LightningModule) -> None:
    """Tie a module without a spec by one that shares nothing more than it does, so that an edit has where to begin."""
    if next(find_tied(module), None) is None:
        network = cast(Any, module).tied_network
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SharingWarning)  # that nothing is shared
            tie(network, spec_of_nothing(take_inventory(network)))
