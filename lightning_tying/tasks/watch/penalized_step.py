"""A tied LightningModule in; the loss of its `training_step` has the penalties of its specs in it afterwards."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from lightning_tying.lowering.penalty import has_penalty, reckon_penalty

PENALTY_KEY = "tying/penalty"


def add_penalty(module: nn.Module) -> None:
    """Let `module.training_step` return its loss with the penalties added; nothing where no spec has any.

    The penalty is logged as `tying/penalty`. With manual optimization the module adds `reckon_penalty(self)` itself.

    Args:
        module: a LightningModule that is tied, or has a tied network; a second call does nothing.
    """
    stock: Any = getattr(type(module), "training_step", None)
    if stock is None or "training_step" in vars(module) or not has_penalty(module):
        return
    # On the instance, and a partial: deepcopy and pickle rebind it to the copy, which they do not with a closure.
    step = partial(penalized_step, module)
    setattr(step, "__wrapped__", stock)  # noqa: B010  # Lightning reads there which arguments the step takes
    setattr(module, "training_step", step)  # noqa: B010


def penalized_step(module: nn.Module, *arguments: Any, **options: Any) -> Any:
    """A module's own `training_step`, its loss with the penalty."""
    kind: Any = type(module)
    outcome = kind.training_step(module, *arguments, **options)
    penalty = reckon_penalty(module) if getattr(module, "automatic_optimization", True) else None
    if penalty is None or outcome is None:  # None: the module skips this batch
        return outcome
    cast(Any, module).log(PENALTY_KEY, penalty.detach())
    if isinstance(outcome, Mapping):
        values = cast("Mapping[str, Any]", outcome)
        return {**values, "loss": _add(values["loss"], penalty)}
    return _add(outcome, penalty)


def _add(loss: Tensor, penalty: Tensor) -> Tensor:
    return loss + penalty.to(loss.device)
