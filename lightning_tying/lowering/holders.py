"""A module in; nothing out, or a refusal that names the optimizer or the strategy that holds its parameters already."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import cast

from torch import nn
from torch.optim import Optimizer

from lightning_tying.errors import ConflictError
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.unwrap import is_strategy_wrapper

_HOW = (
    "Load the weights first: load_state_dict right after tie, before an optimizer is made and before the module is "
    "given to a strategy; or let on_conflict be `owner` or `mean`."
)


def check_free(module: nn.Module) -> None:
    """Make sure that new parameters of a module would not be missing from an optimizer or a strategy.

    Torch keeps no list of them, so all living objects are looked at: about 0.1 s, only where weights conflict.

    Raises:
        ConflictError: naming who holds them, and what to do.
    """
    found = _find_holder(module)
    if found is not None:
        del found
        gc.collect()  # what is left of an earlier run is not a holder
        found = _find_holder(module)
    if found is not None:
        raise ConflictError(
            f"on_conflict is `untie`, and these weights have different values for what is tied; but {found} holds the "
            f"parameters already and would not know the new ones. {_HOW}"
        )


def _find_holder(module: nn.Module) -> str | None:
    parameters = {id(parameter) for parameter in module.parameters()}
    if any(is_sharded(parameter) for parameter in module.parameters()):
        return "fully_shard or parallelize_module"
    for thing in gc.get_objects():
        kind = cast("type[object]", type(thing))  # not isinstance: it asks proxies for their `__class__`
        if issubclass(kind, Optimizer) and _holds(_held(thing), parameters):
            return f"the optimizer {kind.__name__}"
        if issubclass(kind, nn.Module) and is_strategy_wrapper(thing) and _holds(thing.parameters(), parameters):
            return kind.__name__
    return None


def _held(optimizer: Optimizer) -> Iterator[nn.Parameter]:
    for group in vars(optimizer).get("param_groups", ()):
        yield from group["params"]


def _holds(held: Iterable[nn.Parameter], parameters: set[int]) -> bool:
    return any(id(parameter) in parameters for parameter in held)
