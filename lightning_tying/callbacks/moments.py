"""Where in its loops a fit stands: a trainer goes in, whether a checkpoint of now can be resumed exactly comes out.

Lightning has no public words for these; its private ones stand in this file alone.
"""

# pyright: reportPrivateUsage=false
# That is what this file is for.

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.loop import _Loop


def validation_follows(trainer: Trainer) -> bool:
    """Whether a validation comes right after the batch that has just ended.

    A checkpoint of before it counts the validation as done: a run that goes on from there would leave it out.
    """
    fetcher: Any = trainer.fit_loop._data_fetcher
    return fetcher is not None and bool(trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher))


def epoch_ends(trainer: Trainer) -> bool:
    """Whether this is the last batch of its epoch.

    A run that goes on from there leaves out what comes at the end of the epoch: hooks, schedules by epochs, metrics.
    """
    return bool(trainer.fit_loop.epoch_loop._num_ready_batches_reached())


def accumulates(trainer: Trainer) -> bool:
    """Whether gradients are being accumulated, which no checkpoint holds."""
    return trainer.fit_loop.epoch_loop._should_accumulate()


def mend_restart(trainer: Trainer) -> None:
    """Let a fit by steps go on from the end of an epoch as one by epochs does; to be called at `on_train_start`.

    Lightning takes the epoch for unfinished then: it would end it once more and give the next one the wrong number.
    """
    fit_loop = trainer.fit_loop
    if not fit_loop.restarted_on_epoch_end:
        return
    fit_loop.epoch_progress.increment_completed()
    fit_loop.reset_restart_stage()
    fit_loop.epoch_loop.reset_restart_stage()
    _Loop.restarting.__set__(fit_loop, False)  # the fit loop's own setter keeps it True in a fit by steps
