"""Lightning's hooks of a joint model go in; the same hooks of its members are called, each with its own batch."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningModule
from typing_extensions import override

if TYPE_CHECKING:
    Base = LightningModule
else:
    Base = object

HOOKS = (
    *(f"on_{stage}_{moment}" for stage in ("fit", "train", "test", "predict") for moment in ("start", "end")),
    *(f"on_validation_{moment}" for moment in ("start", "end")),
    *(
        f"on_{stage}_epoch_{moment}"
        for stage in ("train", "validation", "test", "predict")
        for moment in ("start", "end")
    ),
)
"""Those without arguments."""


class MemberHooks(Base):
    """Goes in front of a LightningModule that has members."""

    def list_tasks(self) -> Iterable[LightningModule]:
        """The members."""
        raise NotImplementedError

    def list_parts(self, batch: Any, dataloader_idx: int, stage: str | None) -> Iterable[tuple[str, Any]]:
        """The members that a batch is for, each with its part."""
        raise NotImplementedError

    def call_members(self, hook: str, *arguments: Any) -> None:
        """Call a hook of every member, in their order."""
        for task in self.list_tasks():
            getattr(task, hook)(*arguments)

    @override
    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Let the members look at their parts."""
        self._look(batch, batch_idx, 0, None, "on_train_batch_start")

    @override
    def on_validation_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Let the member look at its batch."""
        self._look(batch, batch_idx, dataloader_idx, "val", "on_validation_batch_start")

    @override
    def on_test_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Let the member look at its batch."""
        self._look(batch, batch_idx, dataloader_idx, "test", "on_test_batch_start")

    @override
    def on_predict_batch_start(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Let the member look at its batch."""
        self._look(batch, batch_idx, dataloader_idx, "predict", "on_predict_batch_start")

    def _look(self, batch: Any, batch_idx: int, dataloader_idx: int, stage: str | None, hook: str) -> None:
        tasks: dict[str, Any] = dict(self.named_tasks())
        for name, part in self.list_parts(batch, dataloader_idx, stage):
            getattr(tasks[name], hook)(part, batch_idx)

    def named_tasks(self) -> Iterable[tuple[str, LightningModule]]:
        """The members by name."""
        raise NotImplementedError


def _make_hook(name: str) -> Any:
    def hook(self: MemberHooks) -> None:
        getattr(super(MemberHooks, self), name)()
        self.call_members(name)

    hook.__name__, hook.__doc__ = name, f"`{name}`, then that of every member."
    return hook


for _name in HOOKS:
    setattr(MemberHooks, _name, _make_hook(_name))
