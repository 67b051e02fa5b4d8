"""The reads that one forward of a module makes of a parameter which it has under several names in, a name for each out.

Autograd's graph knows the tensor and not the name. What is left is the order: a module is taken to read its names in
turn, each of them equally often; a recurrent layer reads the weights for its input once for all time steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lightning_tying.lowering.resolve import own_parameters


def order_names(module: nn.Module, names: Sequence[str]) -> list[str]:
    """The names of one parameter in the order in which the module registers its parameters."""
    return [name for name in own_parameters(module) if name in names]


def share_out(module: nn.Module, names: Sequence[str], count: int) -> list[str]:
    """Which name each of the reads is.

    Args:
        module: that reads.
        names: of the parameter, in the order of the module's own.
        count: of the reads.

    Returns:
        One name for each read, in order; the first for all where they cannot be shared out.
    """
    once = {name for name in names if isinstance(module, nn.RNNBase) and "_ih_" in name}
    if len(once) == len(names):
        once = set[str]()
    each, left = divmod(count - len(once), len(names) - len(once))
    if each < 1 or left:
        return [names[0]] * count
    return [name for name in names for _ in range(1 if name in once else each)]
