"""The gradient of one use the slow way: a whole backward pass with every other read of the parameter detached."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lightning_tying.gradients.keys import UseKey

Loss = Callable[[], Tensor]


class _OneRead:
    """In the forwards of one reader: the parameter at the wanted call, a detached one at all others."""

    def __init__(self, net: nn.Module, place: str, wanted: int) -> None:
        path, _, self.name = place.rpartition(".")
        self.module = net.get_submodule(path)
        self.wanted, self.calls = wanted, 0
        parameter = self.module._parameters[self.name]
        assert parameter is not None
        self.parameter = parameter
        reader = net.get_submodule(path.partition("parametrizations")[0].rstrip("."))  # that of a derived site
        self.handles = [
            reader.register_forward_pre_hook(self.enter),
            reader.register_forward_hook(lambda *_: self.put(self.parameter)),
        ]

    def enter(self, *_: object) -> None:
        self.calls += 1
        self.put(self.parameter if self.calls == self.wanted else self.parameter.detach())

    def put(self, tensor: Tensor) -> None:
        self.module._parameters[self.name] = tensor  # type: ignore[assignment]  # a detached one is no Parameter
        if isinstance(self.module, nn.RNNBase) and self.name in self.module._flat_weights_names:
            self.module._flat_weights[self.module._flat_weights_names.index(self.name)] = tensor

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.put(self.parameter)


def find_places(net: nn.Module, parameter: Tensor) -> dict[tuple[int, str], str]:
    """Every place where this very parameter is registered, by the module and the name there."""
    found: dict[tuple[int, str], str] = {}
    for path, module in net.named_modules():
        for name, held in module._parameters.items():
            if held is parameter:
                found[id(module), name] = f"{path}.{name}" if path else name
    return found


def gradient_of_use(net: nn.Module, key: UseKey, loss: Loss) -> Tensor:
    """What one use adds to the gradient; each use must be a read in the forward of the module that has its place."""
    path, _, name = key.place.rpartition(".")
    owner = net.get_submodule(path)
    parameter = owner._parameters[name]
    assert parameter is not None
    reads = [
        _OneRead(net, place, key.call if at == (id(owner), name) else 0)
        for at, place in find_places(net, parameter).items()
    ]
    try:
        (gradient,) = torch.autograd.grad(loss(), [parameter], allow_unused=True)
    finally:
        for each in reads:
            each.remove()
    return torch.zeros_like(parameter) if gradient is None else gradient
