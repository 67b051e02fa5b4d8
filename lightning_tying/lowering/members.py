"""A module in, every site that may be untied out: its parameters under all their FQNs, and its derived sites."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from lightning_tying.lowering.resolve import Slot, find_slots, without_wrappers
from lightning_tying.lowering.runtime.parametrize import find_value
from lightning_tying.lowering.runtime.site_value import SiteValue

_BETWEEN = "parametrizations."


@dataclass(frozen=True, eq=False)
class Member:
    """A site with what it reads.

    Args:
        slot: where it is.
        value: what computes it; None for a parameter.
        parameters: the parameter itself, or those that the value is computed from.
    """

    slot: Slot
    value: SiteValue | None
    parameters: tuple[nn.Parameter, ...]


def find_members(module: nn.Module) -> dict[str, Member]:
    """By FQN, in model order; the slots of a derived site are no members, the site is."""
    names = [without_wrappers(name) for name, _ in module.named_parameters(remove_duplicate=False)]
    holders = find_slots(module, {site for name in names if (site := _derived_site(name)) is not None})
    slots = find_slots(module, names)
    members: dict[str, Member] = {}
    for name in names:
        site = _derived_site(name)
        value = None if site is None else find_value(holders[site].module, holders[site].name)
        if site is None or value is None:
            members[name] = Member(slots[name], None, (slots[name].read(),))
        elif site not in members:
            members[site] = Member(holders[site], value, tuple(value.parameters()))
    return members


def _derived_site(name: str) -> str | None:
    """`fc.parametrizations.weight.0.T` may be a slot of `fc.weight`; other people's parametrizations look alike."""
    path, between, rest = name.rpartition(_BETWEEN)
    if not between or (path and not path.endswith(".")):
        return None
    return path + rest.partition(".")[0]
