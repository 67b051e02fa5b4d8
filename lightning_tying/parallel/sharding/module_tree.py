"""A module and its graph in, the tree of its modules out: also those that computed sites will bring when it is tied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.resolve import WRAPPERS, own_modules, own_parameters, without_wrappers
from lightning_tying.lowering.runtime.parametrize import stock_class
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization

_PARAMETRIZATIONS = "parametrizations"
_LAYER_PARTS = ("self_attn", "linear1", "linear2", "norm1", "norm2")


@dataclass(frozen=True)
class Holding:
    """One parameter and where it is held.

    Args:
        name: of the graph, or its FQN where nothing shares it.
        paths: the FQNs of the modules that hold it, each once, in model order.
        cells: how many numbers it has.
        shared: whether several sites read it.
    """

    name: str
    paths: tuple[str, ...]
    cells: int
    shared: bool = True


@dataclass(frozen=True)
class ModuleTree:
    """The modules of one root, by all their FQNs; those of wrappers are what they wrap.

    Args:
        first: by FQN, the first FQN of the same module; the root's is empty.
        hosts: by FQN, that of the module whose forward is sure to run when a parameter held there is read: itself,
            or the module that takes its weights.
        holdings: every parameter, each once.
        blocks: first FQNs of the repeated blocks: the modules in the outermost lists.
        containers: FQNs of modules that have no forward.
    """

    first: Mapping[str, str]
    hosts: Mapping[str, str]
    holdings: tuple[Holding, ...]
    blocks: tuple[str, ...]
    containers: frozenset[str] = frozenset()


def read_tree(root: nn.Module, graph: SharingGraph) -> ModuleTree:
    """Walk a module that is tied by `graph`, or is going to be.

    Args:
        root: on any device.
        graph: with FQNs relative to `root`.
    """
    first: dict[str, str] = {}
    seen: dict[int, str] = {}
    modules: dict[str, nn.Module] = {}
    lists: list[str] = []
    for path, module in _walk("", root):
        first[path] = seen.setdefault(id(module), path)
        modules.setdefault(path, module)
        if isinstance(module, nn.ModuleList) and not any(path.startswith(f"{outer}.") for outer in lists):
            lists.append(path)
    hosts = {path: _find_host(path, modules) for path in modules}
    for derived in graph.derived:
        path, _, name = derived.site.rpartition(".")
        value = value_path(path, name)
        first[value] = value_path(first.get(path, path), name)
        hosts[value] = value
    idle = frozenset(path for path, module in modules.items() if path and not _runs(module))
    blocks = dict.fromkeys(first[path] for path in modules if path.rpartition(".")[0] in lists and _runs(modules[path]))
    return ModuleTree(first, hosts, (*_find_shared(graph), *_find_private(graph, modules)), tuple(blocks), idle)


def value_path(path: str, name: str) -> str:
    """The FQN of what computes the tensor `name` of the module at `path`, once that is tied."""
    return f"{path}.{_PARAMETRIZATIONS}.{name}" if path else f"{_PARAMETRIZATIONS}.{name}"


def is_value(path: str) -> bool:
    """Whether an FQN is that of what computes a derived site."""
    return path.startswith(f"{_PARAMETRIZATIONS}.") or f".{_PARAMETRIZATIONS}." in path


def _walk(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module under all its FQNs; of a wrapper and what it wraps the wrapper comes first."""
    yield path, module
    for name, child in own_modules(module).items():
        if child is None or isinstance(child, SiteParametrization):  # the graph tells of these, tied or not
            continue
        yield from _walk(path if name in WRAPPERS else f"{path}.{name}" if path else name, child)


def _find_host(path: str, modules: Mapping[str, nn.Module]) -> str:
    """Climb from containers that have no forward, and from parts whose weights the module above takes."""
    while path:
        above, _, name = path.rpartition(".")
        if _runs(modules[path]) and not _takes_weights(modules[above], name):
            return path
        path = above
    return path


def _takes_weights(reader: nn.Module, part: str) -> bool:
    if isinstance(reader, nn.MultiheadAttention):
        return True
    return isinstance(reader, nn.TransformerEncoderLayer) and part in _LAYER_PARTS


def _runs(module: nn.Module) -> bool:
    kind: Any = stock_class(module)
    return kind.forward is not nn.Module.forward


def _find_shared(graph: SharingGraph) -> Iterator[Holding]:
    for group in graph.groups:
        paths = dict.fromkeys(place.rpartition(".")[0] for place in group.places)
        yield Holding(str(group.name), tuple(paths), math.prod(group.meta.shape), len(group.uses) > 1)


def _find_private(graph: SharingGraph, modules: Mapping[str, nn.Module]) -> Iterator[Holding]:
    """The parameters that no group has: by object, since one module may lie at two paths."""
    bound = {use.site for _, use in graph.uses()}
    found: dict[int, tuple[str, int, dict[str, None]]] = {}
    for path, module in modules.items():
        for name, parameter in own_parameters(module).items():
            fqn = without_wrappers(f"{path}.{name}" if path else name)
            if parameter is not None and fqn not in bound:
                found.setdefault(id(parameter), (fqn, parameter.numel(), {}))[2][path] = None
    for name, cells, paths in found.values():
        yield Holding(name, tuple(paths), cells, shared=False)
