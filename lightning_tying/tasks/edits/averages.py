"""A trainer in; the copies of its module that callbacks average out, so that they are edited with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from torch import nn
from torch.optim.swa_utils import AveragedModel

AVERAGE = "_average_model"  # of Lightning's WeightAveraging and StochasticWeightAveraging; there is no public name


def find_averages(trainer: object) -> Iterator[nn.Module]:
    """Every averaged copy of the trainer's module, without torch's wrapper around it.

    Args:
        trainer: of Lightning.
    """
    for callback in cast("Iterable[object]", getattr(trainer, "callbacks", ())):
        average = getattr(callback, AVERAGE, None)
        if isinstance(average, AveragedModel):
            yield average.module
        elif isinstance(average, nn.Module):
            yield average
