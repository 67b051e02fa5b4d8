"""A module and example inputs in; the operations of its forward pass, with and without derived values, out."""

# pyright: reportUnknownMemberType=false
# torch.random is typed in part only.

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from lightning_tying.lowering.runtime.cached_values import cache_values
from lightning_tying.reports.reckoning.per_token import PerToken

Inputs: TypeAlias = "Tensor | Sequence[Any] | Mapping[str, Any]"


def count_flops(module: nn.Module, inputs: Inputs) -> tuple[int, int, str] | None:
    """Count a forward pass twice: once with derived values computed, once with those of the first.

    Nothing stays changed: the module is in evaluation mode meanwhile, no gradient is kept, and the random generators
    go on as if nothing had happened.

    Args:
        module: whose parameters are real.
        inputs: a tensor or arguments; keywords as a mapping.

    Returns:
        Operations without and with the computation of derived values, for each token (of the first tensor of whole
        numbers) or, without one, each sample; then that word. None where torch's counter does not know all of the
        module (recurrent layers), or nothing is counted.
    """
    if any(isinstance(part, nn.RNNBase) for part in module.modules()):
        return None
    with _undisturbed(module), cache_values(module):
        net = _count(module, inputs)
        gross = _count(module, inputs)
    unit, number = _find_unit(inputs)
    return (gross // number, net // number, unit) if gross and number else None


def recount(module: nn.Module, inputs: Inputs, reckoned: PerToken) -> PerToken:
    """Put what a forward pass counts in place of what was reckoned; what cannot be counted stays.

    Args:
        module: on any device, meta too.
        inputs: on the same.
        reckoned: from the shapes of the sites.
    """
    try:
        counted = count_flops(module, inputs)
    except Exception:  # the user's forward may refuse its own example in any way; nothing depends on it
        return reckoned
    if counted is None:
        return reckoned
    gross, net, unit = counted
    return replace(reckoned, flops_gross=gross, flops_net=net, counted=True, unit=unit)


def _count(module: nn.Module, inputs: Inputs) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        if isinstance(inputs, Tensor):
            module(inputs)
        elif isinstance(inputs, Mapping):
            module(**inputs)
        else:
            module(*inputs)
    return counter.get_total_flops()


def _find_unit(inputs: Inputs) -> tuple[str, int]:
    tensors = list(_list_tensors(inputs))
    ids = [each for each in tensors if not each.is_floating_point() and each.dtype != torch.bool]
    if ids:
        return "token", ids[0].numel()
    return "sample", tensors[0].shape[0] if tensors and tensors[0].ndim else 0


def _list_tensors(inputs: object) -> Iterator[Tensor]:
    if isinstance(inputs, Tensor):
        yield inputs
    elif isinstance(inputs, Mapping):
        yield from _list_tensors(list(cast("Mapping[str, object]", inputs).values()))
    elif isinstance(inputs, list | tuple):
        for part in cast("Sequence[object]", inputs):
            yield from _list_tensors(part)


@contextmanager
def _undisturbed(module: nn.Module) -> Generator[None]:
    modes = {part: part.training for part in module.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the counter does not know what it calls
    try:
        with torch.random.fork_rng(), torch.no_grad():
            module.eval()
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, mode in modes.items():
            part.training = mode
