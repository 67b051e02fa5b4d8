"""A module on the meta device in, sharded or not; the same with memory and its initial values out.

The values are those of one process whatever the mesh: each module's initializer draws whole tensors on the CPU, from a
seed of its own made of torch's seed and its FQN, and every process keeps its part.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.draw_into import write_value
from lightning_tying.lowering.reset import find_decided, reset_module
from lightning_tying.lowering.resolve import find_slots, own_parameters, walk_modules
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization
from lightning_tying.lowering.runtime.site_value import SiteValue
from lightning_tying.lowering.state import find_tied
from lightning_tying.spec.hashing import hash_values


def fill_meta(module: nn.Module, device: torch.device | str) -> None:
    """Give a module memory and values if anything in it is on the meta device; nothing otherwise.

    What the spec draws or solves is filled by the tie's own hooks; the rest by `reset_parameters` of its modules. It
    is all or nothing: what is real already gets new values too.

    Args:
        module: tied or not, after `fully_shard` or before.
        device: where the memory is.

    Raises:
        ApplyError: a module with tensors has no `reset_parameters`; nothing has changed.
    """
    if not any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        return
    parts = [(path, part) for path, part in walk_modules(module) if _has_tensors(part)]
    _check_resets(module, parts)
    module.to_empty(device=device)
    for path, part in reversed(parts):  # as in constructors: a module may overrule the modules in it
        with _seeded(path):
            _reset(part)


def _has_tensors(module: nn.Module) -> bool:
    if isinstance(module, SiteParametrization | SiteValue):
        return False
    own = [*own_parameters(module).values(), *module.buffers(recurse=False)]
    return any(tensor is not None for tensor in own)


def _check_resets(module: nn.Module, parts: Iterable[tuple[str, nn.Module]]) -> None:
    parts = list(parts)
    covered = _find_waiting(module)
    for _, part in parts:
        covered |= {id(own_parameters(part)[name]) for name in find_decided(part) or ()}
    lost = [
        f"{path or 'the root'} ({type(part).__name__})"
        for path, part in parts
        if find_decided(part) is None
        and (any(True for _ in part.buffers(recurse=False)) or _own_ids(part).difference(covered))
    ]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise ApplyError(
            f"The module is on the meta device, and {', '.join(lost[:5])}{more} cannot be initialized: no "
            "`reset_parameters`. Define it, with all tensors of that module, or build the module on the CPU."
        )


def _find_waiting(module: nn.Module) -> set[int]:
    """The parameters that the tie's own hooks give values to once they have memory."""
    return {
        id(find_slots(root, [group.keeper])[group.keeper].read())
        for _, root, state in find_tied(module)
        for group in state.plan.graph.groups
        if group.name in state.pending
    }


def _own_ids(module: nn.Module) -> set[int]:
    return {id(parameter) for parameter in own_parameters(module).values() if parameter is not None}


def _reset(module: nn.Module) -> None:
    """Run a module's initializer on whole tensors on the CPU, and take over what it has written."""
    decided = find_decided(module) or frozenset()
    swapped: list[tuple[dict[str, nn.Parameter | None], str, nn.Parameter, nn.Parameter, bool]] = []
    for part in module.modules():  # an initializer may reach down, as that of MultiheadAttention
        parameters = own_parameters(part)
        for name, held in parameters.items():
            if held is not None and not isinstance(part, SiteValue):
                whole = nn.Parameter(torch.zeros(held.shape, dtype=held.dtype), requires_grad=held.requires_grad)
                swapped.append((parameters, name, held, whole, part is module and name in decided))
    try:
        for parameters, name, _, whole, _ in swapped:
            parameters[name] = whole
        reset_module(module)
    finally:
        for parameters, name, held, _, _ in swapped:
            parameters[name] = held
    for _, _, held, whole, own in swapped:
        if own or whole._version > 0:  # pyright: ignore[reportPrivateUsage]  # the public way to see a write is none
            write_value(held, whole)


@contextmanager
def _seeded(path: str) -> Generator[None]:
    generator = torch.default_generator  # the CPU's: whole tensors are there
    state: Any = generator.get_state()
    try:
        generator.manual_seed(hash_values(torch.initial_seed(), "reset", path))
        yield
    finally:
        generator.set_state(state)
