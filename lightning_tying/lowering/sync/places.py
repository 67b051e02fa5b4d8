"""A module and FQNs of sites go in, the parameters that hold their values come out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from torch import nn

from lightning_tying.errors import ConfigError
from lightning_tying.lowering.members import Member


def find_parameters(members: Mapping[str, Member], sites: Iterable[str]) -> dict[str, nn.Parameter]:
    """All parameters that sites read, each once under the first site's FQN.

    Args:
        members: of the module, as `find_members` gives them.
        sites: FQNs; of a computed one, all that it is computed from counts, under the FQN and a number.
    """
    found: dict[int, tuple[str, nn.Parameter]] = {}
    for name, parameter in list_reads(members, sites):
        found.setdefault(id(parameter), (name, parameter))
    return dict(found.values())


def list_reads(members: Mapping[str, Member], sites: Iterable[str]) -> Iterator[tuple[str, nn.Parameter]]:
    """Every parameter that sites read, under every name: a site's FQN, of a computed one with a number."""
    for site in sites:
        read = members[site].parameters
        for number, parameter in enumerate(read):
            yield site if len(read) == 1 else f"{site}:{number}", parameter


def require_parameter(members: Mapping[str, Member], site: str, where: str) -> nn.Parameter:
    """The parameter that a site is.

    Args:
        members: of the module.
        site: its FQN.
        where: the place of the entry, for the message.

    Raises:
        ConfigError: the site is computed from others.
    """
    member = members[site]
    if member.value is not None:
        raise ConfigError(
            f"{where}: {site} is computed from shared parameters, so it has no value of its own that a sync could "
            "change. Take it out with except; a copy can be followed by then: fit."
        )
    return member.parameters[0]
