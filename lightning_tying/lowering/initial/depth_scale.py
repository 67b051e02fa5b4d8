"""A graph and what its sites hold in; W6 where residual outputs were scaled for fewer layers than are executed out.

GPT-2 and its kin draw all matrices with one deviation and divide that of a layer's two residual outputs by √(2·layers).
In a model that has one layer module at several paths, the layers that count are those executed, not those stored
(Geiping et al. 2025 scale for the effective depth).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.ir import SharingGraph, Site
from lightning_tying.lowering.initial.draw import spread

_LAYER = re.compile(r"^(.*?\.)?(\d+)(\..+)$")
_TOLERANCE = 0.05
_CELLS = 256  # of a matrix; of fewer the deviation says too little


@dataclass(frozen=True)
class _Stack:
    """One list of layers with some of its modules at several paths.

    Args:
        executed: how many paths lead to a layer.
        stored: how many layers there are.
        first: the matrices of the first layer that is at several paths, in model order.
    """

    executed: int
    stored: int
    first: tuple[Site, ...]


def warn_depth_scale(graph: SharingGraph, parameters: Mapping[str, Tensor]) -> tuple[Problem, ...]:
    """Look for such an initialization (W6 of the language reference).

    Only a clear case speaks: all matrices of a layer have one deviation but exactly two, which have it divided by
    √(2·stored); and one of these two has the shape of one of the others, so that no rule of inputs and outputs
    explains the difference.

    Args:
        graph: with the model's sites.
        parameters: what the bound sites hold before the tie, by FQN.
    """
    found = (_judge(stack, parameters) for stack in _find_stacks(graph.sites))
    return tuple(problem for problem in found if problem is not None)


def _find_stacks(sites: Sequence[Site]) -> list[_Stack]:
    """The lists of layers in which one module stands at several paths."""
    if len({site.parameter for site in sites}) == len(sites):
        return []
    stacks: dict[str, dict[int, list[Site]]] = {}
    for site in sites:
        found = _LAYER.match(site.fqn)
        if found is not None:
            stacks.setdefault(found[1] or "", {}).setdefault(int(found[2]), []).append(site)
    return [stack for layers in stacks.values() if (stack := _make_stack(layers)) is not None]


def _make_stack(layers: Mapping[int, Sequence[Site]]) -> _Stack | None:
    paths: dict[tuple[int, ...], list[Sequence[Site]]] = {}
    for number in sorted(layers):
        paths.setdefault(tuple(site.parameter for site in layers[number]), []).append(layers[number])
    repeated = next((found[0] for found in paths.values() if len(found) > 1), ())
    first = tuple(site for site in repeated if len(site.meta.shape) == 2 and site.meta.numel >= _CELLS)
    return _Stack(len(layers), len(paths), first) if first else None


def _judge(stack: _Stack, parameters: Mapping[str, Tensor]) -> Problem | None:
    held = [(site, parameters[site.fqn]) for site in stack.first if site.fqn in parameters]
    if len(held) < 4 or len(held) < len(stack.first) or any(values.is_meta for _, values in held):
        return None
    deviations = {site: spread(values) for site, values in held}
    base = sorted(deviations.values())[len(deviations) // 2]
    scaled = [site for site, each in deviations.items() if not _is_near(each, base)]
    wanted = base / math.sqrt(2 * stack.stored)
    if len(scaled) != 2 or not all(_is_near(deviations[site], wanted) for site in scaled):
        return None
    if _is_near(wanted, base / math.sqrt(2 * stack.executed)):
        return None  # too near to tell from the right scale
    others = {site.meta.shape for site in deviations if site not in scaled}
    if not any(site.meta.shape in others for site in scaled):
        return None
    layers = "layer" if stack.stored == 1 else "layers"
    text = f"{scaled[-1].fqn} was scaled for {stack.stored} stored {layers}; {stack.executed} are executed."
    return Problem("W6", Location(), text)


def _is_near(one: float, other: float) -> bool:
    return abs(one - other) <= _TOLERANCE * other
