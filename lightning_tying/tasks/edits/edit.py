"""A LightningModule in training and an edit in; weights, optimizers, averages, wrapper and callbacks edited out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from lightning_tying.api import tie
from lightning_tying.errors import SharingWarning, TyingError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.lowering.edits.edited_plan import spec_of_nothing
from lightning_tying.lowering.edits.join import JoinInit, prepare_join
from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.lowering.edits.rewire import PreparedEdit, carry_out
from lightning_tying.lowering.edits.split import prepare_split
from lightning_tying.lowering.retie import remove_hooks
from lightning_tying.lowering.state import find_tied
from lightning_tying.tasks.edits.averages import find_averages
from lightning_tying.tasks.edits.moment import check_moment, find_trainer
from lightning_tying.tasks.edits.optimizer_states import MovedStates, move_states, plan_states
from lightning_tying.tasks.edits.processes import agree, wrap_again

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

FOLLOW = "on_sharing_edited"  # the hook of callbacks that hold something of the sharing groups


def split_in_training(module: nn.Module, group: str, partition: Sequence[Collection[str]]) -> EditRecord:
    """`lightning_tying.split` for a module that a trainer is fitting; no output changes.

    Each new parameter gets a copy of the optimizer's state and a place in the same parameter group, so that schedules
    go on. Averaged copies are split alike, DDP's wrapper is made anew, and the checkpoints from now on hold the edited
    spec and the record; the run resumes from them with the config that it began with.

    To be called between two steps, on all processes alike; under DDP in `on_train_epoch_start`. A callback that has a
    method `on_sharing_edited(trainer, pl_module, record)` is told afterwards.

    Args:
        module: the trainer's LightningModule: a task, a `TiedModule` or one that `tie_any` has tied.
        group: as for `split`.
        partition: as for `split`.

    Returns:
        What was done; also in `module.tied_edits`.

    Raises:
        ApplyError: as `split` does; or the moment, the strategy or the optimizer does not allow it. Nothing has
            changed.
    """
    return _edit(module, lambda each: prepare_split(each, group, partition))


def join_in_training(module: nn.Module, groups: Sequence[str], init: JoinInit = "mean") -> EditRecord:
    """`lightning_tying.join` for a module that a trainer is fitting; see `split_in_training`.

    The optimizer's state follows the rule of the value: with `mean` its moments are means, each use counted once,
    maxima are maxima and `step` is the largest; else it is the state of the one whose value is taken.

    Args:
        module: as for `split_in_training`.
        groups: as for `join`.
        init: as for `join`.

    Returns:
        What was done; also in `module.tied_edits`.

    Raises:
        ApplyError: as `join` does; or the moment, the strategy or the optimizer does not allow it, or the optimizer
            has them in different parameter groups. Nothing has changed.
    """
    return _edit(module, lambda each: prepare_join(each, groups, init), init)


def _edit(module: nn.Module, prepare: Callable[[nn.Module], PreparedEdit], init: str = "") -> EditRecord:
    trainer = find_trainer(module)
    watched = cast("WatchedModule", module)
    edits, moved = _prepare(watched, trainer, prepare, init)
    with torch.inference_mode(False), torch.no_grad():
        for edit in edits:
            carry_out(edit)
    move_states(moved, trainer.optimizers, module)
    own = edits[0]
    record = EditRecord(int(trainer.global_step), int(trainer.current_epoch), own.kind, own.before, own.after, init)
    for each in (watched, *find_averages(trainer)):
        cast("WatchedModule", each).follow_tied_edit(own.plan.spec, record)
    wrap_again(trainer, module)
    if getattr(module, "_compiler_ctx", None) is not None:
        torch.compiler.reset()  # what is compiled reads the old parameters
    _tell(trainer, module, record)
    return record


def _prepare(
    module: WatchedModule, trainer: Any, prepare: Callable[[nn.Module], PreparedEdit], init: str
) -> tuple[list[PreparedEdit], MovedStates]:
    """Everything that can fail, and then the word of all processes that it did not."""
    with ExitStack() as undo:
        try:
            check_moment(module, trainer)
            modules = (module, *(cast("WatchedModule", each) for each in find_averages(trainer)))
            for each in modules:
                _begin(each, undo)
            edits = [prepare(each) for each in modules]
            moved = plan_states(trainer.optimizers, edits[0])
        except TyingError as error:
            agree(trainer, str(error), failed=True)
            raise
        agree(trainer, f"{edits[0].kind} {edits[0].before} into {edits[0].after} {init}".rstrip(), failed=False)
        undo.pop_all()
    return edits, moved


def _begin(module: WatchedModule, undo: ExitStack) -> None:
    """Tie a module without a spec by one that shares nothing more than it does, so that edits have where to begin."""
    if next(find_tied(module), None) is not None:
        return
    network = module.tied_network
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)  # that nothing is shared
        tie(network, spec_of_nothing(take_inventory(network)))
    undo.callback(remove_hooks, network)


def _tell(trainer: Any, module: nn.Module, record: EditRecord) -> None:
    for callback in cast("Iterable[object]", trainer.callbacks):
        follow = getattr(callback, FOLLOW, None)
        if callable(follow):
            follow(trainer, module, record)
