"""A module in; its stock initializer runs on scratch tensors, so that shared parameters stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from lightning_tying.lowering.resolve import own_modules, own_parameters
from lightning_tying.lowering.runtime.parametrize import as_stock, find_value

RESET_METHODS = ("reset_parameters", "_reset_parameters")  # torch's own layers call it either way
_PARAMETRIZATIONS = "parametrizations"


@contextmanager
def hide_derived(module: nn.Module) -> Generator[None]:
    """Let every derived site in `module` be a scratch parameter of its shape, and no parametrization be seen.

    The modules have their stock classes meanwhile, so an initializer that asks for `self.parameters()` (as LSTM's
    does) or for the exact type finds what it knows.
    """
    with ExitStack() as shown:
        for part in list(module.modules()):
            if any(find_value(part, name) is not None for name in _parametrized(part)):
                stand_ins = {name: _make_stand_in(part, name) for name in _parametrized(part)}
                shown.enter_context(as_stock(part, stand_ins))
        yield


def reset_into_scratch(module: nn.Module) -> dict[str, Tensor]:
    """What a module's own initializer gives for its tensors, derived ones included; the module stays as it is.

    Args:
        module: which has `reset_parameters` or `_reset_parameters`, or else is said to give zeros.

    Returns:
        By name, on the CPU.
    """
    with hide_derived(module), ExitStack() as undo, torch.no_grad():
        for part in module.modules():
            _set_aside(own_parameters(part), undo)
            _set_buffers_aside(part._buffers, undo)  # pyright: ignore[reportPrivateUsage]  # there is no public way
        reset = find_reset(module)
        if reset is not None:
            reset()
        return {name: each.detach() for name, each in own_parameters(module).items() if each is not None}


def find_reset(module: nn.Module) -> Callable[[], object] | None:
    """A module's stock initializer, whatever has been put in its place on the instance."""
    found = next((getattr(type(module), each, None) for each in RESET_METHODS if hasattr(type(module), each)), None)
    return partial(found, module) if callable(found) else None


def make_scratch(like: Tensor) -> nn.Parameter:
    """A parameter to be overwritten."""
    return nn.Parameter(torch.empty_like(like), requires_grad=like.requires_grad)


def _parametrized(module: nn.Module) -> list[str]:
    inner = own_modules(module).get(_PARAMETRIZATIONS)
    return [] if inner is None else list(own_modules(inner))


def _make_stand_in(part: nn.Module, name: str) -> nn.Parameter:
    value = find_value(part, name)
    if value is None:  # a parametrization of somebody else's
        with torch.no_grad():
            return make_scratch(getattr(part, name))
    device = next(value.parameters()).device
    return nn.Parameter(torch.empty(value.expression.shape, dtype=value.dtype, device=device))


def _set_buffers_aside(buffers: dict[str, Tensor | None], undo: ExitStack) -> None:
    undo.callback(buffers.update, dict(buffers))
    for name, buffer in buffers.items():
        if buffer is not None:
            buffers[name] = torch.zeros(buffer.shape, dtype=buffer.dtype, device="cpu")


def _set_aside(parameters: dict[str, nn.Parameter | None], undo: ExitStack) -> None:
    undo.callback(parameters.update, dict(parameters))
    for name, parameter in parameters.items():
        if parameter is not None:
            zeros = torch.zeros(parameter.shape, dtype=parameter.dtype, device="cpu")
            parameters[name] = nn.Parameter(zeros, requires_grad=parameter.requires_grad)
