"""A module that trains in; nothing out, or a refusal that says when, or how else, its sharing can be edited."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.tasks.watch.run_facts import find_kind

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

_BETWEEN = (
    "on_train_start",
    "on_train_epoch_start",
    "on_train_batch_start",
    "on_train_batch_end",
    "on_train_epoch_end",
    "on_validation_end",
)
_EPOCH = "on_train_epoch_start"
_NAMES = {"fsdp2": "ModelParallelStrategy", "fsdp1": "FSDP", "deepspeed": "DeepSpeed", "pipeline": "pipelining"}


def find_trainer(module: nn.Module) -> Any:
    """The trainer that fits a module.

    Raises:
        ApplyError: there is none; or the module does not know its spec, so that no checkpoint could carry the edit.
    """
    if not hasattr(module, "tied_spec"):
        raise ApplyError(
            f"{type(module).__name__} does not keep its spec in its checkpoints, so none could carry the edit. Make it "
            "a TiedModule, or tie it with tie_any."
        )
    trainer = getattr(module, "_trainer", None)
    if trainer is None or (not trainer.training and not trainer.validating):
        raise ApplyError(
            f"{type(module).__name__} is not in training. Without an optimizer: lightning_tying.split and join."
        )
    return trainer


def check_moment(module: WatchedModule, trainer: Any) -> None:
    """Refuse strategies whose parts of tensors cannot be edited, and moments inside an optimizer step.

    Args:
        module: the trainer's.
        trainer: that fits it.

    Raises:
        ApplyError: saying what to do.
    """
    kind = find_kind(trainer.strategy)
    if kind in _NAMES or any(is_sharded(parameter) for parameter in module.parameters()):
        raise ApplyError(
            f"Under {_NAMES.get(kind, kind)} the parameters are divided between processes, and no edit can reach them. "
            "Save a checkpoint, give it the other spec with `lightning-tying checkpoint migrate`, and resume from it."
        )
    hook = str(getattr(module, "_current_fx_name", None) or "")
    if kind == "ddp" and hook != _EPOCH:
        raise ApplyError(
            f"Under DDP an edit belongs at an epoch's start, where the wrapper can be made anew: in {_EPOCH} of a "
            f"callback or of the module, not in {hook or 'a step'}."
        )
    if hook not in _BETWEEN:
        raise ApplyError(f"An edit belongs between two steps: in {', '.join(_BETWEEN)}; not in {hook or 'a step'}.")
    if hook != _EPOCH and _is_open(trainer):
        raise ApplyError(
            "An edit cannot divide gradients that are being accumulated (accumulate_grad_batches). Edit after the "
            f"optimizer's step, or in {_EPOCH}."
        )


def _is_open(trainer: Any) -> bool:
    """Whether batches have been accumulated since the last optimizer step."""
    progress = trainer.fit_loop.epoch_loop.batch_progress
    done = int(progress.current.processed)
    every = int(trainer.accumulate_grad_batches)
    ended = bool(progress.is_last_batch) and done == int(progress.current.ready)
    return every > 1 and done % every != 0 and not ended
