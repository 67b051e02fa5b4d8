"""A module in; nothing out, or a refusal that names the optimizer or the strategy that holds its parameters already."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from typing import cast

from torch import nn
from torch.optim import Optimizer

from lightning_tying.errors import ApplyError, ConflictError
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.unwrap import is_strategy_wrapper


def refuse_conflict(module: nn.Module) -> None:
    """Make sure that weights in conflict may give sites parameters of their own, which no optimizer would know.

    Raises:
        ConflictError: naming who holds the parameters, and what to do.
    """
    holder = name_holder(module)
    if holder is not None:
        raise ConflictError(
            "on_conflict is `untie`, and these weights have different values for what is tied; but "
            f"{holder} holds the parameters already and would not know the new ones. Load the weights first: "
            "load_state_dict right after tie, before an optimizer is made and before the module is given to a "
            "strategy; or let on_conflict be `owner` or `mean`."
        )


def refuse_held(module: nn.Module, function: str, instead: str = "") -> None:
    """Make sure that parameters may be replaced: whoever holds them would go on with the old ones.

    Args:
        module: whose parameters would be replaced.
        function: what replaces them.
        instead: what does it while somebody holds them; empty for nothing.

    Raises:
        ApplyError: naming who holds the parameters, and what to do.
    """
    holder = name_holder(module)
    if holder is not None:
        raise ApplyError(
            f"{function} came after {holder}, which holds parameters that would be replaced and would go on with the "
            f"old ones. Call {function} before the optimizer is made and before a strategy wraps the module: right "
            f"after tie, in a LightningModule's __init__ or configure_model.{f' {instead}' if instead else ''}"
        )


def name_holder(module: nn.Module) -> str | None:
    """Who holds parameters of a module besides it: an optimizer, DDP, Fabric or a mesh; None for nobody.

    Torch keeps no list of them, so all living objects are looked at: about 0.1 s, more in a large program.
    """
    if any(is_sharded(parameter) for parameter in module.parameters()):
        return "fully_shard or parallelize_module"
    wanted = {id(parameter) for parameter in module.parameters()}
    if next(_find_holders(wanted), None) is None:
        return None
    gc.collect()  # what is left of an earlier run is not a holder
    return next(_find_holders(wanted), None)


def _find_holders(wanted: set[int]) -> Iterator[str]:
    for thing in gc.get_objects():
        kind = cast("type[object]", type(thing))  # not isinstance: it asks proxies for their `__class__`
        if issubclass(kind, Optimizer) and _hold(_list_held(thing), wanted):
            yield f"the optimizer {kind.__name__}"
        if issubclass(kind, nn.Module) and is_strategy_wrapper(thing) and _hold(thing.parameters(), wanted):
            yield kind.__name__


def _list_held(optimizer: Optimizer) -> Iterator[nn.Parameter]:
    for group in vars(optimizer).get("param_groups", ()):
        yield from group["params"]


def _hold(held: Iterable[nn.Parameter], wanted: set[int]) -> bool:
    return any(id(parameter) in wanted for parameter in held)
