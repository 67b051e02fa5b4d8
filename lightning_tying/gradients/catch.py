"""A module and the forward and backward passes inside a context in, the gradient of every use of what it shares out.

Nothing is put between the modules and their tensors. When a backward pass begins, autograd's graph is walked from the
loss, every edge that ends at a shared parameter is given a hook, and the name of its use is read off the module in
whose forward the edge was made. The hooks are gone when the backward pass has ended. So losses and gradients are the
same bit for bit, and what activation checkpointing computes again is no part of the graph and is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.autograd_reads import find_reads
from lightning_tying.gradients.compiled import find_compiled
from lightning_tying.gradients.deliver import Delivery, Scale
from lightning_tying.gradients.module_calls import CallLog, is_beneath, is_sharded_unit, list_ids
from lightning_tying.gradients.name_uses import Namer, Use
from lightning_tying.gradients.shared import Holder, SharedParameter, choose_shared
from lightning_tying.gradients.sinks.sink import Sink
from lightning_tying.lowering.resolve import walk_modules

_TENSOR: Any = Tensor  # torch's stubs leave `backward` open
_BACKWARD = cast("tuple[object, ...]", (_TENSOR.backward, torch.autograd.backward))


@contextmanager
def catch_uses(roots: nn.Module, *, groups: Collection[ParameterName] | None = None, sink: Sink) -> Generator[None]:
    """Hand the per-use gradients of each backward pass inside to a sink.

    A use is one read of a shared parameter: a module that is called twice reads its parameters twice. Backward passes
    are those of `Tensor.backward` and `torch.autograd.backward` in this thread; `torch.autograd.grad` adds to no
    parameter's gradient and is not counted. Modules that `torch.compile` has compiled run as written inside.

    Args:
        roots: tied, or with tied modules inside. The forward passes may be of it or of any module inside.
        groups: the names of the shared parameters; None for all that an equation or a tie names and that have two
            uses or more in a backward pass. A parameter that none of them names goes by its FQN.
        sink: takes the gradients; one of `gradients.sinks` has the numbers when it is asked to `finish`.

    Raises:
        ConfigError: there is no shared parameter of such a name.
    """
    with _watch(roots, groups, sink, None):
        yield


@contextmanager
def scale_uses(roots: nn.Module, scale: Scale, *, groups: Collection[ParameterName] | None = None) -> Generator[None]:
    """Multiply what single uses add to the gradient of their shared parameter, in each backward pass inside.

    Args:
        roots: as for `catch_uses`.
        scale: the factor of a use; 1 changes nothing.
        groups: as for `catch_uses`.

    Raises:
        ConfigError: there is no shared parameter of such a name.
    """
    with _watch(roots, groups, None, scale):
        yield


@contextmanager
def _watch(
    root: nn.Module, groups: Collection[ParameterName] | None, sink: Sink | None, scale: Scale | None
) -> Generator[None]:
    catcher = _Catcher(root, choose_shared(root, groups), sink, scale, least=2 if groups is None else 1)
    with ExitStack() as stack:
        if find_compiled(root):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(catcher.log.listen())
        stack.enter_context(_BackwardMode(catcher.run_backward))
        yield


class _BackwardMode(TorchFunctionMode):
    """Tells when a backward pass begins; all other functions are called as they are."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self._run = run

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _BACKWARD:
            return self._run(func, *args, **(kwargs or {}))
        return func(*args, **kwargs) if kwargs else func(*args)


class _Catcher:
    """What is known inside the context.

    Args:
        root: the module.
        shared: what to catch.
        sink: takes the gradients.
        scale: of the uses.
        least: groups with fewer uses in a backward pass are left out.
    """

    def __init__(
        self, root: nn.Module, shared: Iterable[SharedParameter], sink: Sink | None, scale: Scale | None, least: int
    ) -> None:
        by_name = {each.name: each for each in shared}
        modules = list(walk_modules(root))
        paths = list_ids(modules)
        self._holders = [(name, holder) for name, each in by_name.items() for holder in each.holders]
        self._watched = _find_watched(modules, self._holders)
        self._leaves: dict[int, tuple[ParameterName, Tensor]] = {}  # the tensor too, so that its id stays its own
        self.log = CallLog(paths, self._look_at)
        self._namer = Namer(by_name, paths, self.log)
        self._sink = sink
        self._scale = scale
        self._least = least
        self._note(self._holders)

    def run_backward(self, function: Callable[..., Any], roots: object, *arguments: Any, **keywords: Any) -> Any:
        """Call a function that runs a backward pass, with hooks on the uses."""
        if self.log.paused:
            return function(roots, *arguments, **keywords)
        delivery = self._prepare(_as_tuple(roots), keywords.get("inputs"))
        completed, self.log.paused = False, True  # modules that run inside are computed again, for activations
        try:
            result = function(roots, *arguments, **keywords)
            completed = True
            return result
        finally:
            self.log.paused = False
            delivery.close(completed)

    def _prepare(self, roots: Iterable[object], inputs: object) -> Delivery:
        self._note(self._holders)
        groups = {leaf: name for leaf, (name, _) in self._leaves.items()}
        if inputs is not None:
            wanted = {id(each) for each in _as_tuple(inputs)}
            groups = {leaf: name for leaf, name in groups.items() if leaf in wanted}
        reads = find_reads(roots, groups.keys())
        uses = _leave_out(self._namer.name(reads.edges, groups), self._least)
        caught = {use.key.group for use in uses}
        ends = [(groups[leaf], node) for leaf, node in reads.ends.items() if groups[leaf] in caught]
        return Delivery(uses, ends, self._sink, self._scale)

    def _look_at(self, module: nn.Module) -> None:
        watched = self._watched.get(id(module))
        if watched is not None:
            self._note(watched)

    def _note(self, holders: Iterable[tuple[ParameterName, Holder]]) -> None:
        """See which tensors are in the places now: FSDP2 and `functional_call` put others there for a forward."""
        for name, holder in holders:
            tensor = holder.peek()
            if tensor is not None and id(tensor) not in self._leaves:
                self._leaves[id(tensor)] = (name, tensor)


def _leave_out(uses: list[Use], least: int) -> list[Use]:
    counts: dict[ParameterName, int] = {}
    for use in uses:
        counts[use.key.group] = counts.get(use.key.group, 0) + 1
    return [use for use in uses if counts[use.key.group] >= least]


def _find_watched(
    modules: Iterable[tuple[str, nn.Module]], holders: Iterable[tuple[ParameterName, Holder]]
) -> Mapping[int, list[tuple[ParameterName, Holder]]]:
    """The places to look at when the forward of a module ends: its own; of the root and of a sharded unit, all."""
    watched: dict[int, list[tuple[ParameterName, Holder]]] = {}
    units = [(path, module) for path, module in modules if not path or is_sharded_unit(module)]
    for name, holder in holders:
        watched.setdefault(id(holder.module), []).append((name, holder))
        for path, unit in units:
            if unit is not holder.module and is_beneath(holder.place, path):
                watched.setdefault(id(unit), []).append((name, holder))
    return watched


def _as_tuple(given: object) -> tuple[object, ...]:
    return tuple(cast("Iterable[object]", given)) if isinstance(given, (tuple, list)) else (given,)
