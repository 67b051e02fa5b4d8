"""A module whose training begins goes in; nothing comes out when the copies that callbacks average are tied like it."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.verify import verify_tied

_NAME = "_average_model"  # of Lightning's WeightAveraging and StochasticWeightAveraging; there is no public name


def check_averages(module: nn.Module) -> None:
    """Verify the averaged copies of a module: of each average, all ties, and as many parameters as the module has.

    Averages are paired with the module's parameters by order: one parameter more, and all after it get the wrong
    values, without an error.

    Args:
        module: a LightningModule under a trainer.

    Raises:
        TieBroken: naming the callback.
    """
    callbacks = cast("Iterable[object]", getattr(getattr(module, "_trainer", None), "callbacks", ()))
    for callback in callbacks:
        average = getattr(callback, _NAME, None)
        if isinstance(average, nn.Module):
            _check_average(module, average, type(callback).__name__)


def _check_average(module: nn.Module, average: nn.Module, callback: str) -> None:
    mine, theirs = (sum(1 for _ in each.parameters()) for each in (module, average))
    if mine != theirs:
        raise TieBroken(
            f"{callback} averages a copy with {theirs} parameters, and the module has {mine}: it was copied before "
            "the module was built or tied. Build and tie in `__init__`, not in a callback or in `setup`."
        )
    if next(find_tied(module), None) is None:
        return
    try:
        verify_tied(average)
    except TieBroken as error:
        raise TieBroken(f"In the copy that {callback} averages: {error}") from error
