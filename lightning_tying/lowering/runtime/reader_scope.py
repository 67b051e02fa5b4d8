"""A site and the reader that runs in, its value out: computed once in each forward of its reader, never kept longer.

A *reader* is a module whose forward reads sites, its own or those of modules inside it. Its forward opens a scope for
them. A value in a scope is used again while gradient mode, inference mode and the parameters in the slots are the
same, and while no saved-tensor hook of somebody else's (activation checkpointing) has come on top: what is computed in
a checkpointed function must be computed there again. Reads outside of any scope compute.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from lightning_tying.lowering.runtime.autograd_state import autocasts, may_replace_saved, shares_memory
from lightning_tying.lowering.runtime.produce import produce
from lightning_tying.lowering.runtime.recompute import Origin, Recipe, Recorder, foreign_pack, unpack
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization

_Key: TypeAlias = tuple[object, ...]


class _Held(NamedTuple):
    """A value of a scope with the recipe for the backward pass; None where it is kept."""

    value: Tensor
    recipe: Recipe | None
    parameters: Sequence[Tensor]  # alive, so that their ids in the key stay theirs


class _Entry:
    """One site in one scope: the foreign saved-tensor hook when it was opened, and the values."""

    __slots__ = ("casts", "pack", "values")

    def __init__(self, pack: object | None, casts: bool) -> None:
        self.pack = pack
        self.casts = casts
        self.values: dict[_Key, _Held] = {}


class _Thread(threading.local):
    def __init__(self) -> None:
        self.entries: dict[int, _Entry] = {}
        self.recorder: Recorder | None = None
        self.cached: dict[int, dict[tuple[bool, bool], Tensor]] = {}
        self.readers: set[int] = set()


_THREAD = _Thread()


@dataclass(frozen=True, slots=True)
class ReaderStyle:
    """How a class of readers treats values.

    Args:
        casts: autocast casts them in the forward; then they are cast here, and what the layer saves for the backward
            pass is the value's own memory.
        records: its forward saves them, and they are to be computed again instead.
    """

    casts: bool
    records: bool


def run_reader(
    style: ReaderStyle,
    sites: Sequence[SiteParametrization],
    forward: Callable[..., Any],
    *arguments: Any,
    **keywords: Any,
) -> Any:
    """Call the forward of a reader in a scope for its sites.

    Args:
        style: of the reader.
        sites: that it reads; those that a scope around it has already stay that scope's.
        forward: to call.
        arguments: of the call.
        keywords: of the call.
    """
    thread, pack = _THREAD, foreign_pack()
    entries = thread.entries
    opened: list[tuple[int, _Entry | None]] = []
    for site in sites:
        key = id(site)
        outer = entries.get(key)
        if outer is None or outer.pack is not pack:
            opened.append((key, outer))
            entries[key] = _Entry(pack, style.casts)
    try:
        if style.records and pack is None and may_replace_saved() and not all(site.value.keep for site in sites):
            return _record(thread, forward, arguments, keywords)
        return forward(*arguments, **keywords)
    finally:
        for key, outer in opened:
            if outer is None:
                del entries[key]
            else:
                entries[key] = outer


def read_site(site: SiteParametrization, base: bool = False) -> Tensor:
    """The value of a site; in a scope it may be a view of a shared parameter, outside it never is."""
    thread = _THREAD
    if thread.cached and not torch.is_grad_enabled():
        cache = thread.cached.get(id(site))
        if cache is not None:
            return _read_cached(cache, site, base)
    entry = thread.entries.get(id(site))
    if entry is None or entry.pack is not foreign_pack():
        return _own_memory(site(base), site)
    held = _look_up(entry.values, site, base, entry.casts)
    if held.recipe is not None and thread.recorder is not None:
        thread.recorder.add(held.value, held.recipe)
    return held.value


def reads_cached(reader: nn.Module) -> bool:
    """Whether `cache_values` holds all that a module reads of its own now, so that it has no scope to open.

    Asked at every forward of a decoder, hence by the module and not by its sites.
    """
    readers = _THREAD.readers
    return bool(readers) and id(reader) in readers and not torch.is_grad_enabled()


def is_cached(site: SiteParametrization) -> bool:
    """Whether `cache_values` holds this site now."""
    return id(site) in _THREAD.cached and not torch.is_grad_enabled()


def open_cache(found: Iterable[tuple[nn.Module, SiteParametrization]]) -> list[tuple[int, int]]:
    """Hold values over many forward passes without gradients; those held already stay as they are.

    Args:
        found: modules, each with a site of its own.

    Returns:
        What `close_cache` ends.
    """
    thread = _THREAD
    opened = [(id(module), id(site)) for module, site in found if id(site) not in thread.cached]
    for module, site in opened:
        thread.cached[site] = {}
        thread.readers.add(module)
    return opened


def close_cache(opened: Iterable[tuple[int, int]]) -> None:
    """Forget values."""
    for module, site in opened:
        _THREAD.cached.pop(site, None)
        _THREAD.readers.discard(module)


def _record(thread: _Thread, forward: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    outer, recorder = thread.recorder, Recorder()
    thread.recorder = recorder
    try:
        with saved_tensors_hooks(recorder.pack, unpack):
            return forward(*arguments, **keywords)
    finally:
        thread.recorder = outer
        recorder.recipes.clear()


def _read_cached(cache: dict[tuple[bool, bool], Tensor], site: SiteParametrization, base: bool) -> Tensor:
    """The value that `cache_values` holds, in memory of its own; parameters do not change meanwhile."""
    key = base, torch.is_inference_mode_enabled()  # a tensor of one mode is not always taken in the other
    value = cache.get(key)
    if value is None:
        value = cache[key] = _own_memory(site(base), site)
    return value


def _look_up(values: dict[_Key, _Held], site: SiteParametrization, base: bool, casts: bool) -> _Held:
    parameters, dtype = site.parameters_read(), site.dtype
    if casts:
        dtype = _autocast_dtype(dtype, parameters[0])
    key = (base, dtype, torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *map(id, parameters))
    held = values.get(key)
    if held is None:
        held = values[key] = _compute(site, base, dtype, parameters)
    return held


def _compute(site: SiteParametrization, base: bool, dtype: torch.dtype, parameters: Sequence[Tensor]) -> _Held:
    again = _THREAD.recorder is not None and not site.value.keep and may_replace_saved()
    value = produce(site, base) if again else site(base)
    if value.dtype != dtype:
        value = value.to(dtype)
    if not again or shares_memory(value, parameters):
        return _Held(value, None, parameters)
    return _Held(value, Recipe(Origin(site, site.tensor_name), base, value.dtype), parameters)


def _autocast_dtype(dtype: torch.dtype, like: Tensor) -> torch.dtype:
    device = like.device.type
    if dtype == torch.float64 or not autocasts(device):
        return dtype
    return torch.get_autocast_dtype(device)


def _own_memory(value: Tensor, site: SiteParametrization) -> Tensor:
    return value.clone() if shares_memory(value, site.parameters_read()) else value
