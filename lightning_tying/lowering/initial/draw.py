"""A drawn `init`, a shape and a name in, the values out: the same on every device and in any order of equations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from torch import Generator, Tensor, nn

from lightning_tying.graph.ir import SharingGroup
from lightning_tying.spec.hashing import hash_values
from lightning_tying.spec.schema import Init

Draw: TypeAlias = Callable[[Tensor, tuple[float, ...], Generator], object]


def _fill(number: float) -> Draw:
    return lambda values, _arguments, _generator: nn.init.constant_(values, number)


def _constant(values: Tensor, arguments: tuple[float, ...], _generator: Generator) -> None:
    nn.init.constant_(values, arguments[0])


def _normal(values: Tensor, arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.normal_(values, std=arguments[0], generator=generator)


def _uniform(values: Tensor, arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.uniform_(values, -arguments[0], arguments[0], generator=generator)


def _trunc_normal(values: Tensor, arguments: tuple[float, ...], generator: Generator) -> None:
    """Cut at two standard deviations; torch's own bounds of ±2 would cut nothing at 0.02."""
    std = arguments[0]
    nn.init.trunc_normal_(values, std=std, a=-2 * std, b=2 * std, generator=generator)


def _kaiming_uniform(values: Tensor, _arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.kaiming_uniform_(values, a=math.sqrt(5), generator=generator)  # as nn.Linear does


def _kaiming_normal(values: Tensor, _arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.kaiming_normal_(values, generator=generator)


def _xavier_uniform(values: Tensor, _arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.xavier_uniform_(values, generator=generator)


def _xavier_normal(values: Tensor, _arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.xavier_normal_(values, generator=generator)


def _orthogonal(values: Tensor, _arguments: tuple[float, ...], generator: Generator) -> None:
    nn.init.orthogonal_(values, generator=generator)


_DRAWS: Mapping[str, Draw] = {
    "zeros": _fill(0.0),
    "ones": _fill(1.0),
    "constant": _constant,
    "normal": _normal,
    "uniform": _uniform,
    "trunc_normal": _trunc_normal,
    "kaiming_uniform": _kaiming_uniform,
    "kaiming_normal": _kaiming_normal,
    "xavier_uniform": _xavier_uniform,
    "xavier_normal": _xavier_normal,
    "orthogonal": _orthogonal,
}
_TOGETHER = frozenset({"variance", "orthogonal_rows"})  # drawn for what a function reads or brings, not one by one


def is_drawn(init: Init) -> bool:
    """Whether the values come from a generator (or a constant), not from the sites."""
    return init.kind in _DRAWS or init.kind in _TOGETHER


def is_drawn_together(init: Init) -> bool:
    """Whether the values depend on what else a function reads or brings; `draw_group` draws such a group."""
    return init.kind in _TOGETHER


def needs_std(init: Init) -> bool:
    """`normal` alone takes the standard deviation of the first site that reads the parameter."""
    return init.kind == "normal" and not init.arguments


def draw(group: SharingGroup, first: Tensor | None = None) -> Tensor:
    """The values that the group's init draws: float32, on the CPU, of the group's shape.

    Args:
        group: its policy's init is one of those that `is_drawn`, and not one that `is_drawn_together`.
        first: the values of the owner, needed for `normal` alone.
    """
    arguments = tuple(float(argument) for argument in group.policy.init.arguments)
    if needs_std(group.policy.init) and first is not None:
        arguments = (spread(first),)
    return fill_drawn(group, group.policy.init.kind, arguments)


def fill_drawn(group: SharingGroup, kind: str, arguments: tuple[float, ...]) -> Tensor:
    """The same for a rule that is not the group's own: `kind` is one of those that a spec may write."""
    generator = make_generator(str(group.name))
    values = torch.empty(group.meta.shape, dtype=torch.float32, device="cpu")
    with torch.no_grad():
        if group.policy.slices and values.dim() > 2:  # slices without a matrix's two sides have no fans of their own
            for each in values:
                _DRAWS[kind](each, arguments, generator)
        else:
            _DRAWS[kind](values, arguments, generator)
    return values


def make_generator(name: str) -> Generator:
    """The generator of a shared parameter: it depends on torch's seed and the full name, on nothing else."""
    return Generator().manual_seed(hash_values(torch.initial_seed(), name))


def spread(values: Tensor) -> float:
    """The standard deviation of all cells (0 for a single one)."""
    return float(values.detach().float().std(correction=0))
