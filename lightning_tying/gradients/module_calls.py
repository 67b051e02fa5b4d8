"""The forwards of modules in, which of them a node of autograd's graph was made in out.

Autograd numbers the nodes of a thread as they are made, so the forward of a module is an interval of numbers. Nothing
is put between a module and its tensors: what is computed stays what it was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from lightning_tying.gradients.autograd_reads import Node
from lightning_tying.lowering.runtime.site_value import SiteValue

_next_number: Callable[[], int] = cast(Any, torch._C)._autograd._get_sequence_nr  # pyright: ignore[reportPrivateUsage]  # torch's only name for it


@dataclass(slots=True, eq=False)
class ModuleCall:
    """One forward of one module.

    Args:
        module: that was called.
        path: its FQN.
        start: the number of the first node that may have been made in it.
        parent: the call that it was made in.
        end: the number after the last; None while it runs.
        value: for what computes a derived site, the node whose gradient is that of the site, and which of its outputs.
    """

    module: nn.Module
    path: str
    start: int
    parent: ModuleCall | None
    end: int | None = None
    value: tuple[Node, int] | None = None


class CallLog:
    """The forwards of some modules, in the order in which they began.

    Args:
        paths: of the modules to watch, by their id.
        on_exit: told of each module whose forward has ended, while what it read is still in its places.
    """

    def __init__(self, paths: Mapping[int, str], on_exit: Callable[[nn.Module], None]) -> None:
        self._paths = paths
        self._on_exit = on_exit
        self._calls: list[ModuleCall] = []
        self._starts: list[int] = []
        self._open: list[ModuleCall] = []
        self.paused = False

    def find(self, number: int) -> ModuleCall | None:
        """The innermost forward in which the node of that number was made."""
        place = bisect_right(self._starts, number) - 1
        call = self._calls[place] if place >= 0 else None
        while call is not None and call.end is not None and call.end <= number:
            call = call.parent
        return call

    @contextmanager
    def listen(self) -> Generator[None]:
        """Watch the forwards inside."""
        enter = register_module_forward_pre_hook(self._enter)
        leave = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield
        finally:
            enter.remove()
            leave.remove()

    def _enter(self, module: nn.Module, arguments: object) -> None:
        del arguments
        path = None if self.paused else self._paths.get(id(module))
        if path is None:
            return
        parent = self._open[-1] if self._open else None
        call = ModuleCall(module, path, _next_number(), parent)
        self._calls.append(call)
        self._starts.append(call.start)
        self._open.append(call)

    def _leave(self, module: nn.Module, arguments: object, result: object) -> None:
        del arguments
        if self.paused or not any(call.module is module for call in self._open):
            return
        now = _next_number()
        while self._open:  # those on top were left by an error
            call = self._open.pop()
            call.end = now
            if call.module is module:
                call.value = _computed_value(module, result)
                break
        self._on_exit(module)


def _computed_value(module: nn.Module, result: object) -> tuple[Node, int] | None:
    """Only of derived sites: holding more nodes than needed would keep graphs alive."""
    if not isinstance(module, SiteValue) or not isinstance(result, Tensor) or result.grad_fn is None:
        return None
    return cast(Node, result.grad_fn), result.output_nr


def is_beneath(path: str, above: str) -> bool:
    """Whether a module's FQN is that of a module inside another."""
    return path != above and (not above or path.startswith(f"{above}."))


def is_sharded_unit(module: nn.Module) -> bool:
    """Whether `fully_shard` was called on it; by name, since importing FSDP takes long."""
    return any(kind.__name__ == "FSDPModule" for kind in type(module).__mro__)


def list_ids(modules: Iterable[tuple[str, nn.Module]]) -> dict[int, str]:
    """The first FQN of each module, by its id."""
    found: dict[int, str] = {}
    for path, module in modules:
        found.setdefault(id(module), path)
    return found
