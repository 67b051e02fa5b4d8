"""Values by site go into a module once: as they are, or before it is tied again so that shared parameters follow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from lightning_tying.errors import ConfigError
from lightning_tying.lowering.apply import apply_plan
from lightning_tying.lowering.members import Member, find_members
from lightning_tying.lowering.state import read_state, require_state
from lightning_tying.lowering.sync.places import require_parameter
from lightning_tying.lowering.undo import untie_module

_AGAIN = frozenset({"fit", "tie"})
Then: TypeAlias = Literal["freeze", "fit", "tie"] | None


def check_copy(root: nn.Module, values: Mapping[str, Tensor], then: Then, where: str) -> None:
    """Refuse a copy that would change other sites than those that it names.

    Args:
        root: tied or not.
        values: by FQN of a site.
        then: what follows, as for `write_copy`.
        where: the place of the entry, for messages.

    Raises:
        ConfigError: a site is computed, or shared with one that is not named or gets another value, and `then` does
            not say what becomes of it; or there is nothing to tie or to fit.
    """
    members = find_members(root)
    if then in _AGAIN:
        _check_again(root, members, values, str(then), where)
    else:
        _check_alone(members, {site: require_parameter(members, site, where) for site in values}, values, where)


def write_copy(root: nn.Module, values: Mapping[str, Tensor], then: Then) -> None:
    """Write values into sites.

    Args:
        root: a module that `check_copy` has seen, not on the meta device, without an optimizer.
        values: by FQN, with the shapes of the sites.
        then: `freeze`: the sites are trained no more. `tie`, `fit`: the module is tied again by its plan, so that
            shared parameters start from the copied values by their `init`, and computed sites are solved for them.
    """
    state = read_state(root) if then in _AGAIN else None
    if state is not None:
        untie_module(root)
    members = find_members(root)
    with torch.no_grad():
        for site, value in values.items():
            [parameter] = members[site].parameters
            parameter.copy_(value)
            if then == "freeze":
                parameter.requires_grad_(False)
    if state is not None:
        apply_plan(state.whole or state.plan, root)
        require_state(root).on_conflict = state.on_conflict


def _check_again(root: nn.Module, members: Mapping[str, Member], sites: Collection[str], then: str, where: str) -> None:
    if read_state(root) is None:
        raise ConfigError(f"{where}: then: {then} needs a module that `share` ties, and this one is not tied.")
    if then == "fit" and all(members[site].value is None for site in sites):
        raise ConfigError(f"{where}: then: fit needs a computed site among those that are copied, and none of them is.")


def _check_alone(
    members: Mapping[str, Member], targets: Mapping[str, nn.Parameter], values: Mapping[str, Tensor], where: str
) -> None:
    named: dict[int, str] = {}
    for site, parameter in targets.items():
        first = named.setdefault(id(parameter), site)
        if not torch.equal(values[first], values[site]):
            raise ConfigError(
                f"{where}: {first} and {site} are one parameter, and the copy has two values for it. Write then: tie, "
                "and `init` says what it starts from."
            )
    for site, member in members.items():
        held = next((named[id(each)] for each in member.parameters if id(each) in named), None)
        if held is not None and site not in targets:
            raise ConfigError(
                f"{where}: {held} shares its parameter with {site}, which the copy does not name and would change. "
                "Name it too, or write then: tie."
            )
