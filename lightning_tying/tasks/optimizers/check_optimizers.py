"""A module under a trainer goes in; nothing comes out when its optimizers hold each trainable parameter once."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

from lightning_tying.errors import TieBroken
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied

_FLATTENING = ("FSDPStrategy", "DeepSpeedStrategy")  # their optimizers may hold pieces of several parameters in one
_FINETUNING = (
    "A callback that unfreezes does so by Lightning's BaseFinetuning, which compares parameters by value; "
    "take lightning_tying.callbacks.SharedFinetuning in its place."
)


def check_optimizers(module: nn.Module) -> None:
    """Compare the optimizers' parameters with the module's trainable ones: the same, each once, in one optimizer.

    Args:
        module: a LightningModule; without a trainer or without optimizers there is nothing to compare.

    Raises:
        TieBroken: a parameter is missing, stands twice, belongs to two optimizers, or is an orphan of a tie made
            after the optimizer; the text names sharing groups and optimizers.
    """
    trainer = getattr(module, "_trainer", None) or getattr(module, "trainer", None)
    made: list[torch.optim.Optimizer] = list(getattr(trainer, "optimizers", []))
    optimizers = [each for each in made if type(each).__name__ != "_MockOptimizer"]  # Lightning's, where there is none
    if not optimizers or _flattens(getattr(trainer, "strategy", None)):
        return
    holders = find_holders(optimizers)
    trainable = {id(parameter): parameter for parameter in module.parameters() if parameter.requires_grad}
    _refuse_twice(module, holders, optimizers)
    missing = [key for key in trainable if key not in holders]
    if missing:
        raise TieBroken(
            f"The optimizer does not hold {_some(describe_parameters(module, missing))}. Make it in "
            "`configure_optimizers` from `self.parameters()`, after the network is built and tied; what is not to be "
            f"trained has `requires_grad` False. {_FINETUNING if _unfreezes(trainer) else ''}".rstrip()
        )
    known = {id(parameter) for parameter in module.parameters()}
    _refuse_orphans([each for each in _held(optimizers) if id(each) not in known and each.requires_grad])


def find_holders(optimizers: Sequence[torch.optim.Optimizer]) -> dict[int, list[int]]:
    """The places of the optimizers that hold each parameter, one entry each time that one holds it."""
    holders: dict[int, list[int]] = {}
    for place, optimizer in enumerate(optimizers):
        for parameter in _held([optimizer]):
            holders.setdefault(id(parameter), []).append(place)
    return holders


def describe_parameters(module: nn.Module, wanted: Iterable[int]) -> list[str]:
    """Parameters by id in, what messages call them out: the sharing group and its sites, else the FQN."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for path, root, state in find_tied(module):
        inside = f"{path}." if path else ""
        for group in state.plan.graph.groups:
            keeper = find_slots(root, [group.keeper])[group.keeper].peek()
            if keeper is not None and len(group.uses) > 1:
                sites = ", ".join(f"{inside}{use.site}" for use in group.uses[:4])
                more = f" and {len(group.uses) - 4} more" if len(group.uses) > 4 else ""
                names[id(keeper)] = f"`{group.name}` (shared by {sites}{more})"
    return [names.get(key, "an unnamed parameter") for key in wanted]


def _refuse_twice(module: nn.Module, holders: dict[int, list[int]], optimizers: list[torch.optim.Optimizer]) -> None:
    between = [key for key, places in holders.items() if len(set(places)) > 1]
    if between:
        places = sorted(set(holders[between[0]]))
        said = " and ".join(f"optimizer {place} ({type(optimizers[place]).__name__})" for place in places)
        raise TieBroken(
            f"{_some(describe_parameters(module, between))}: held by {said}. Each parameter belongs to exactly one "
            "optimizer: a shared one has the gradient of all its sites, and every optimizer that holds it makes a step "
            "with it. Leave it out of the others, or do not share it between the parts that they train."
        )
    twice = [key for key, places in holders.items() if len(places) > 1]
    if twice:
        trainer = getattr(module, "_trainer", None)
        raise TieBroken(
            f"The optimizer holds {_some(describe_parameters(module, twice))} more than once. "
            f"Give each parameter to one group. {_FINETUNING if _unfreezes(trainer) else ''}".rstrip()
        )


def _refuse_orphans(orphans: Sequence[torch.Tensor]) -> None:
    if orphans:
        shapes = [str(list(parameter.shape)) for parameter in orphans]
        raise TieBroken(
            f"The optimizer holds {len(orphans)} parameter(s) that the module has not: {_some(shapes)}. "
            "It was made before the network was tied; make it in `configure_optimizers`."
        )


def _held(optimizers: Iterable[torch.optim.Optimizer]) -> list[torch.Tensor]:
    return [parameter for each in optimizers for group in each.param_groups for parameter in group["params"]]


def _flattens(strategy: object) -> bool:
    return any(kind.__name__ in _FLATTENING for kind in type(strategy).__mro__)


def _unfreezes(trainer: object) -> bool:
    callbacks: Iterable[object] = getattr(trainer, "callbacks", ())
    return any(kind.__name__ == "BaseFinetuning" for each in callbacks for kind in type(each).__mro__)


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
