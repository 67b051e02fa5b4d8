"""The part of a watched module that knows of edits: records and specs go in, what a checkpoint carries comes out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, cast

from lightning_tying.lowering.edits.join import JoinInit
from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.tasks.edits.edit import join_in_training, split_in_training
from lightning_tying.tasks.edits.resume import match_states, resume_edits

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule as Base

    from lightning_tying.tasks.watch.watched_module import WatchedModule
else:
    Base = object  # so that modules of `lightning.pytorch` and of `pytorch_lightning` both take the hooks


class EditedModule(Base):
    """What `WatchedModule` remembers of splits and joins; its names begin with `tied` or `_tied` as that one's do."""

    _tied_spec: SharingSpec | None = None
    _tied_edits: tuple[EditRecord, ...] = ()
    _tied_origin: str = ""
    _tied_states: list[dict[str, Any]] | None = None

    @property
    def tied_edits(self) -> tuple[EditRecord, ...]:
        """The splits and joins of this training so far, those before a resumption included."""
        return self._tied_edits

    @property
    def tied_origin(self) -> str:
        """The canonical text of the spec that an edited training began with; empty for none."""
        return self._tied_origin

    def split_tied(self, group: str, partition: Sequence[Collection[str]]) -> EditRecord:
        """What `lightning_tying.tasks.edits.split_in_training` does, for callbacks that know only the module."""
        return split_in_training(self, group, partition)

    def join_tied(self, groups: Sequence[str], init: JoinInit = "mean") -> EditRecord:
        """What `lightning_tying.tasks.edits.join_in_training` does, for callbacks that know only the module."""
        return join_in_training(self, groups, init)

    def adopt_tied_spec(self, spec: SharingSpec) -> None:
        """Be a module of another spec: the network is tied by it already."""
        self._tied_spec = spec

    def remember_tied_edits(self, records: tuple[EditRecord, ...], origin: str) -> None:
        """Take over the edits that led to the present sharing.

        Args:
            records: all of them, in order.
            origin: the canonical text of the spec before the first.
        """
        self._tied_edits, self._tied_origin = records, origin

    def follow_tied_edit(self, spec: SharingSpec, record: EditRecord) -> None:
        """Remember an edit that the network has been given, and its new spec."""
        before = "" if self._tied_spec is None else dump_spec(self._tied_spec)
        self.remember_tied_edits((*self._tied_edits, record), self._tied_origin if self._tied_edits else before)
        self.adopt_tied_spec(spec)

    def follow_tied_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Edit the network as the training of a checkpoint has been, before its weights are loaded."""
        resume_edits(cast("WatchedModule", self), checkpoint)
        trainer = getattr(self, "_trainer", None)
        if self._tied_edits and trainer is not None and trainer.state.fn == "fit":
            self._tied_states = checkpoint.get("optimizer_states")

    def match_tied_states(self) -> None:
        """Let the optimizer states of that checkpoint fit this run's optimizers, which are made by now."""
        if self._tied_states is not None:
            match_states(cast("WatchedModule", self), self._tied_states)
            self._tied_states = None
