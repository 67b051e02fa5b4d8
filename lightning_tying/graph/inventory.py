"""From a module to its `Inventory`: every parameter under every FQN, as data. The only file of `graph` with torch."""

# pyright: reportPrivateUsage=false
# The walk reads the tables of `nn.Module` itself: `named_parameters` takes longer, and tells less of each place.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from lightning_tying.algebra.expression import Expression
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.found_values import SiteValue, find_site_value, find_site_values, read_order, read_slots
from lightning_tying.graph.parts import Site, TensorMeta

WRAPPER_SEGMENTS = frozenset({"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})


@dataclass(frozen=True, slots=True)
class Unbindable:
    """A tensor that a pattern may match and no equation can bind.

    Args:
        fqn: its name, wrapper segments removed.
        reason: `parametrized`, `lazy`, `dtype` (not a floating-point number), or `layout` (not dense).
        detail: the class name of its module (`lazy`), its dtype or layout as torch writes it.
        originals: FQNs of the parameters behind a parametrization.
    """

    fqn: str
    reason: Literal["parametrized", "lazy", "dtype", "layout"]
    detail: str = ""
    originals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundSlot:
    """A parameter that a site's value is computed from.

    Args:
        name: of the slot.
        parameter: its number, as in `Site`.
        meta: its metadata.
        factor: by which the gradient of this use is multiplied.
    """

    name: str
    parameter: int
    meta: TensorMeta
    factor: float


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A site that `tie` made a parametrization of.

    Args:
        fqn: of the site; it is among the sites of the inventory.
        expression: what it reads, under the names of the plan that tied it.
        slots: what holds the parameters, in the order of `expression.parameters`.
        keep: whether the value is kept for the backward pass.
    """

    fqn: str
    expression: Expression
    slots: tuple[FoundSlot, ...]
    keep: bool = False


@dataclass(frozen=True)
class Inventory:
    """All that planning asks of a module, taken once; holds no tensors and no modules.

    Args:
        sites: the floating-point parameters under all their FQNs, in model order: the order of
            `named_parameters(remove_duplicate=False)`. A parametrization that `tie` made is one site.
        modules: FQN to class name, the module itself under the empty FQN.
        buffers: the FQNs of the buffers.
        unbindable: parametrized, lazy and not floating-point tensors.
        values: what the sites that `tie` made parametrizations of read, in model order.
    """

    sites: tuple[Site, ...]
    modules: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({"": "Module"}))
    buffers: tuple[str, ...] = ()
    unbindable: tuple[Unbindable, ...] = ()
    values: tuple[FoundValue, ...] = ()


def take_inventory(module: nn.Module) -> Inventory:
    """List the sites of a module, and what else a pattern may name by mistake.

    Args:
        module: any module, on any device, meta included; nothing is read but metadata.

    Returns:
        The inventory; the wrapper segments of `torch.compile`, FSDP1 and activation checkpointing are
        removed from all FQNs.
    """
    with pause_gc():
        return _Walk().take(module)


class _Walk:
    """The state of one walk: what was found so far, and the memo of parameters and of equal metadata."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.modules: dict[str, str] = {}
        self.buffers: list[str] = []
        self.unbindable: list[Unbindable] = []
        self.values: list[FoundValue] = []
        self._numbers: dict[int, int] = {}
        self._metas: dict[tuple[object, ...], TensorMeta] = {}
        self._seen: set[str] = set()

    def take(self, module: nn.Module) -> Inventory:
        for fqn, part in _walk_modules(module):
            self._take_module(fqn, part)
        modules = MappingProxyType(self.modules)
        return Inventory(tuple(self.sites), modules, tuple(self.buffers), tuple(self.unbindable), tuple(self.values))

    def _take_module(self, fqn: str, part: nn.Module) -> None:
        kind = self.modules[fqn] = type(part).__name__  # under one FQN the wrapped module comes after its wrapper
        prefix = f"{fqn}." if fqn else ""
        sparse = isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and part.sparse
        if "parametrizations" in part._modules:
            self._take_mixed(prefix, part, kind)
        else:
            for name, tensor in part._parameters.items():
                if tensor is not None:
                    self._take_parameter(prefix + name, tensor, kind, sparse and name == "weight")
        if part._buffers:
            self.buffers += [prefix + name for name, buffer in part._buffers.items() if buffer is not None]
        if "parametrizations." in fqn and isinstance(part, ParametrizationList):
            self._take_parametrization(fqn, part)

    def _take_mixed(self, prefix: str, part: nn.Module, kind: str) -> None:
        """Parameters, and values that stand for some of them; a computed table makes no sparse gradients."""
        sparse = isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and part.sparse
        for name, held in _list_held(part):
            if isinstance(held, Tensor):
                self._take_parameter(prefix + name, held, kind, sparse and name == "weight")
            elif held is not None:
                self._take_value(prefix + name, held, kind)

    def _take_parameter(self, fqn: str, tensor: Tensor, owner: str, sparse: bool) -> None:
        if fqn in self._seen:
            return
        self._seen.add(fqn)
        if type(tensor) is not nn.Parameter and is_lazy(tensor):
            self.unbindable.append(Unbindable(fqn, "lazy", detail=owner))
            return
        dtype = tensor.dtype
        if not dtype.is_floating_point:
            self.unbindable.append(Unbindable(fqn, "dtype", detail=str(dtype)))
        elif tensor.layout is not torch.strided:
            self.unbindable.append(Unbindable(fqn, "layout", detail=str(tensor.layout)))
        else:
            number = self._numbers.setdefault(id(tensor), len(self._numbers))
            self.sites.append(Site(fqn, self._read_meta(tensor), owner, number, sparse))

    def _take_value(self, fqn: str, value: SiteValue, owner: str) -> None:
        if fqn in self._seen:
            return
        self._seen.add(fqn)
        held = read_slots(value)
        slots = tuple(
            FoundSlot(slot.name, self._number(tensor), self._read_meta(tensor), factor)
            for slot, tensor, factor in zip(value.slots, held, value.factors, strict=True)
        )
        trainable = any(tensor.requires_grad for tensor in held)
        meta = TensorMeta(
            value.expression.shape, str(value.dtype).removeprefix("torch."), slots[0].meta.device, trainable
        )
        self.sites.append(Site(fqn, meta, owner, self._number(value)))
        self.values.append(FoundValue(fqn, value.expression, slots, value.keep))

    def _number(self, held: object) -> int:
        return self._numbers.setdefault(id(held), len(self._numbers))

    def _read_meta(self, tensor: Tensor) -> TensorMeta:
        key = (tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad)
        meta = self._metas.get(key)
        if meta is None:
            dtype = str(tensor.dtype).removeprefix("torch.")
            meta = TensorMeta(tuple(tensor.shape), dtype, str(tensor.device), tensor.requires_grad)
            self._metas[key] = meta
        return meta

    def _take_parametrization(self, fqn: str, part: ParametrizationList) -> None:
        path, _, tensor = fqn.rpartition("parametrizations.")
        originals = tuple(f"{fqn}.{name}" for name in (*part._parameters, *part._buffers))
        if not originals:  # a value of ours below somebody's parametrization
            originals = tuple(f"{fqn}.{name}" for name, _ in part.named_parameters())
        self.unbindable.append(Unbindable(path + tensor, "parametrized", originals=originals))


def _list_held(part: nn.Module) -> list[tuple[str, Tensor | SiteValue | None]]:
    """The module's own parameters and the values that stand for some of them, in the order that they had."""
    held: dict[str, Tensor | SiteValue | None] = {**find_site_values(part), **part._parameters}
    places = {name: place for place, name in enumerate(read_order(part))}
    return sorted(held.items(), key=lambda item: places.get(item[0], len(places)))


def _walk_modules(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module under every path, in the order of `named_modules(remove_duplicate=False)`.

    A module that contains itself is entered once on each path, where torch would not end.
    """
    stack: list[tuple[str, nn.Module, frozenset[int]]] = [("", module, frozenset())]
    while stack:
        fqn, part, above = stack.pop()
        yield fqn, part
        if not part._modules:
            continue
        path = above | {id(part)}
        told = fqn.endswith("parametrizations")  # whether the values below are told as sites of the module above
        for name, child in reversed(part._modules.items()):
            if child is not None and id(child) not in path and not (told and find_site_value(child)):
                stack.append((_join(fqn, name), child, path))


def _join(fqn: str, name: str) -> str:
    if name in WRAPPER_SEGMENTS:
        return fqn
    return f"{fqn}.{name}" if fqn else name
