"""A module with its weights and the same module tied otherwise go in; the second has the first one's values then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from lightning_tying.checkpoints.origins import Layout, Origin, trace_origins
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.members import Member, find_members
from lightning_tying.lowering.undo import read_value

Join = Literal["mean", "first", "init"]
JOINS: tuple[str, ...] = get_args(Join)


@dataclass(frozen=True)
class SiteChange:
    """How far a site's value has moved: ‖after − before‖ / ‖before‖."""

    site: str
    distance: float


def read_sites(module: nn.Module) -> dict[str, Tensor]:
    """What every site of a module has as its value now, by FQN; computed values included."""
    with torch.no_grad():
        return {name: _read(member) for name, member in find_members(module).items()}


def write_sites(module: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Write values into a module without a spec; sites that its own code ties get the first one's.

    Raises:
        ConfigError: a site is missing or of another shape.
    """
    for name, member in find_members(module).items():
        parameter = member.parameters[0]
        if name not in values or values[name].shape != parameter.shape:
            raise ConfigError(f"The checkpoint has no value for {name} of the shape {list(parameter.shape)}.")
    done: set[int] = set()
    with torch.no_grad():
        for name, member in find_members(module).items():
            if id(member.parameters[0]) not in done:
                member.parameters[0].copy_(values[name])
            done.add(id(member.parameters[0]))


def copy_buffers(source: nn.Module, target: nn.Module) -> None:
    """Give the target the buffers of the source, where both have them."""
    before = dict(source.named_buffers(remove_duplicate=False))
    with torch.no_grad():
        for name, buffer in target.named_buffers(remove_duplicate=False):
            if name in before and before[name].shape == buffer.shape:
                buffer.copy_(before[name])


def migrate_values(source: nn.Module, target: nn.Module, join: Join = "mean") -> dict[str, Origin]:
    """Write the source's values into the target, in place.

    The target has been tied with the source's site values in it, so its solved parameters have their values already.
    Parameters that are kept or split are copied. One that joins several, each site counted once, is their mean, the
    first of them, or (`init`) what the target's spec says.

    Returns:
        Where each parameter comes from, by first name.
    """
    before, after = Layout(source), Layout(target)
    origins = trace_origins(before, after)
    values = read_sites(source)
    with torch.no_grad():
        for name, origin in origins.items():
            if origin.kind == "kept":
                after.parameters[name].copy_(before.parameters[name])
            elif origin.kind in ("copied", "joined") and not (origin.kind == "joined" and join == "init"):
                after.parameters[name].copy_(_join([values[site] for site in origin.sites], join))
    return origins


def find_changes(before: Mapping[str, Tensor], module: nn.Module) -> list[SiteChange]:
    """The sites whose values are others than before, the farthest first."""
    found: list[SiteChange] = []
    for site, value in read_sites(module).items():
        if site in before and not torch.equal(before[site], value):
            scale = float(before[site].double().square().sum().sqrt())
            gap = float((value.double() - before[site].double()).square().sum().sqrt())
            found.append(SiteChange(site, gap / scale if scale else float("inf")))
    return sorted(found, key=lambda change: -change.distance)


def _join(values: Sequence[Tensor], join: Join) -> Tensor:
    if join == "first" or all(value is values[0] or torch.equal(value, values[0]) for value in values):
        return values[0]
    return torch.stack([value.double() for value in values]).mean(0)


def _read(member: Member) -> Tensor:
    return (member.parameters[0].detach() if member.value is None else read_value(member.value)).clone()
