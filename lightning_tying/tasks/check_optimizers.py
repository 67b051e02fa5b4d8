"""A module whose fit begins goes in; nothing comes out when its optimizers hold each trainable parameter once."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

import torch
from torch import nn

from lightning_tying.errors import TieBroken


def check_optimizers(module: nn.Module) -> None:
    """Compare the optimizers' parameters with the module's trainable ones: the same, each once.

    Raises:
        TieBroken: a parameter is missing, stands twice, or is an orphan of a tie made after the optimizer.
    """
    optimizers: list[torch.optim.Optimizer] = list(getattr(getattr(module, "trainer", None), "optimizers", []))
    if not optimizers:
        return
    names = {id(parameter): name for name, parameter in module.named_parameters() if parameter.requires_grad}
    held = [parameter for optimizer in optimizers for group in optimizer.param_groups for parameter in group["params"]]
    counts: dict[int, int] = {}
    for parameter in held:
        counts[id(parameter)] = counts.get(id(parameter), 0) + 1
    twice = [names.get(key, "an unnamed parameter") for key, count in counts.items() if count > 1]
    if twice:
        raise TieBroken(f"The optimizer holds {_some(twice)} more than once. Give each parameter to one group.")
    missing = [name for key, name in names.items() if key not in counts]
    if missing:
        raise TieBroken(
            f"The optimizer does not hold {_some(missing)}. Make it in `configure_optimizers` from "
            "`self.parameters()`, after the network is built and tied."
        )
    orphans = [parameter for parameter in held if id(parameter) not in names and parameter.requires_grad]
    if orphans:
        shapes = [str(list(parameter.shape)) for parameter in orphans]
        raise TieBroken(
            f"The optimizer holds {len(orphans)} parameter(s) that the module has not: {_some(shapes)}. "
            "It was made before the network was tied; make it in `configure_optimizers`."
        )


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
