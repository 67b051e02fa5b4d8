"""Parameters in; nothing out, or a refusal when an optimizer or a wrapper that lives has counted them already."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator

from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.optim import Optimizer

from lightning_tying.errors import ApplyError


def refuse_held(parameters: Iterable[nn.Parameter], function: str) -> None:
    """Refuse to replace parameters that an optimizer or DDP holds: it would go on with the old ones.

    A parameter does not know who holds it, so all objects that live are looked through, some tenths of a second in a
    large program.

    Raises:
        ApplyError: with what holds them.
    """
    wanted = {id(parameter) for parameter in parameters}
    if next(_find_holders(wanted), None) is None:
        return
    gc.collect()  # one that nobody can reach any more is not in the way
    holder = next(_find_holders(wanted), None)
    if holder is not None:
        raise ApplyError(
            f"{function} came after {type(holder).__name__}, which holds parameters that would be replaced and would "
            f"go on with the old ones. Call {function} before the optimizer is made and before a strategy wraps the "
            "module: right after tie, in a LightningModule's __init__ or configure_model."
        )


def _find_holders(wanted: set[int]) -> Iterator[object]:
    for thing in gc.get_objects():
        # not isinstance alone: a lazy object would be asked for its class
        if issubclass(type(thing), Optimizer) and isinstance(thing, Optimizer):
            held: Iterable[object] = (each for group in thing.param_groups for each in group["params"])
        elif issubclass(type(thing), DDP) and isinstance(thing, DDP):
            held = thing.parameters()
        else:
            continue
        if any(id(each) in wanted for each in held):
            yield thing
