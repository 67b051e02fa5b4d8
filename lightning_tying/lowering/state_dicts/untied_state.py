"""A tied module in; the state dict that the same model untied would have out, with every derived site as a tensor."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from lightning_tying.lowering.materialize import materialize_module
from lightning_tying.lowering.preconditions import check_can_change


def untied_state_dict(module: nn.Module) -> dict[str, Any]:
    """What loads, strictly, into the model before it was tied, and gives it the same outputs.

    Args:
        module: a tied module, or one with tied modules inside; it is not changed.

    Returns:
        A tensor for every parameter and buffer of the untied model, by its own names. Names that are one parameter
        are the same tensor object, so that `torch.save` writes it once; `load_state_dict` copies it to each.

    Raises:
        ApplyError: the module is wrapped by a strategy, or sharded.
    """
    plain = materialize_module(deepcopy(check_can_change(module, "untied_state_dict")))
    held: dict[int, Tensor] = {}
    state = plain.state_dict(keep_vars=True)
    return {
        key: held.setdefault(id(value), value.detach()) if isinstance(value, Tensor) else value
        for key, value in state.items()
    }
