"""The gradient of one use the slow way: a whole backward pass with every other read of the parameter detached."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_tying.gradients.keys import UseKey

Loss = Callable[[], Tensor]


class _OneRead:
    """In the forwards of one module: the parameter at the wanted call, a detached one at all others."""

    def __init__(self, module: nn.Module, name: str, wanted: int) -> None:
        self.module, self.name, self.wanted, self.calls = module, name, wanted, 0
        self.parameter = module._parameters[name]
        self.handles = [
            module.register_forward_pre_hook(self.enter),
            module.register_forward_hook(lambda *_: self.put(self.parameter)),
        ]

    def enter(self, *_: object) -> None:
        self.calls += 1
        assert self.parameter is not None
        self.put(self.parameter if self.calls == self.wanted else self.parameter.detach())

    def put(self, tensor: Tensor | None) -> None:
        self.module._parameters[self.name] = tensor
        if isinstance(self.module, nn.RNNBase) and self.name in self.module._flat_weights_names:
            self.module._flat_weights[self.module._flat_weights_names.index(self.name)] = tensor

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.put(self.parameter)


def find_holders(net: nn.Module, parameter: Tensor) -> list[tuple[nn.Module, str]]:
    """Every module that registers this very parameter, with the name there."""
    return [
        (module, name)
        for module in net.modules()
        for name, held in module._parameters.items()
        if held is parameter
    ]


def gradient_of_use(net: nn.Module, key: UseKey, loss: Loss) -> Tensor:
    """What one use adds to the gradient; each use must be a read in the forward of the module that has its place."""
    path, _, name = key.place.rpartition(".")
    owner = net.get_submodule(path)
    parameter = owner._parameters[name]
    assert parameter is not None
    seen: dict[tuple[int, str], _OneRead] = {}
    for module, own_name in find_holders(net, parameter):
        wanted = key.call if (module, own_name) == (owner, name) else 0
        seen[id(module), own_name] = _OneRead(module, own_name, wanted)
    try:
        (gradient,) = torch.autograd.grad(loss(), [parameter], allow_unused=True)
    finally:
        for each in seen.values():
            each.remove()
    return torch.zeros_like(parameter) if gradient is None else gradient
