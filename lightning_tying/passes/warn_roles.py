"""Warns where unlike roles read one parameter: self- and cross-attention, a norm and a weight (W1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup, Site
from lightning_tying.passes.group_sites import find_place

_SELF = r"self_attn|self_attention|selfattention|selfattn"
_CROSS = r"cross_attn|cross_attention|crossattention|encoder_attn|encdecattention|multihead_attn"
ATTENTION = re.compile(rf"(?:^|\.)(?:({_SELF})|({_CROSS}))(?![^.])", re.IGNORECASE | re.ASCII)
NORM = re.compile(
    r"(^|_)(layer_?|rms_?|batch_?|group_?|instance_?)?norm\d*($|_)|^ln_?\w{0,3}$|^bn_?\d*$", re.IGNORECASE | re.ASCII
)
NORM_MODULE = re.compile(r"norm", re.IGNORECASE | re.ASCII)


def warn_roles(graph: SharingGraph) -> SharingGraph:
    """Add one warning for each family that unlike roles read as it is, or as a tensor of its shape."""
    warnings: dict[tuple[str, Location], Problem] = {}
    sites = {site.fqn: site for site in graph.sites}
    for group in graph.groups:
        if len(group.uses) < 2 or not sites or group.uses[0].location == Location():
            continue  # a tie of the model itself is its own affair
        warning = _find_unlike(group, sites)
        if warning is not None:
            warnings.setdefault((group.name.family, warning.location), warning)
    return replace(graph, warnings=(*graph.warnings, *warnings.values())) if warnings else graph


def _find_unlike(group: SharingGroup, sites: Mapping[str, Site]) -> Problem | None:
    """The first pair of sites whose roles differ in kind, where both kinds are known.

    A pool of numbers that sites of any shape are made of has no role.
    """
    uses = group.uses
    if not group.is_plain:
        uses = tuple([use for use in uses if use.bare or sites[use.site].meta.shape == group.meta.shape])
    roles = [_roles_of(use.site, sites[use.site].module) for use in uses]
    if len(roles) < 2 or roles.count(roles[0]) == len(roles):
        return None
    for kinds in zip(*roles, strict=True):
        known = [(use, kind) for use, kind in zip(uses, kinds, strict=True) if kind is not None]
        odd = next((reader for reader in known if reader[1] != known[0][1]), None)
        if odd is not None:
            named = [f"{kind} ({use.site})" for use, kind in (known[0], odd)]
            text = f"`{group.name}` is read by {named[0]} and {named[1]}."
            return Problem("W1", find_place(known[0][0], odd[0]), text)
    return None


def _roles_of(fqn: str, module: str) -> tuple[str | None, str | None, str | None]:
    """What a site is: which attention it belongs to, whether it is a norm's, whether it is a bias."""
    path, _, name = fqn.rpartition(".")
    found = ATTENTION.search(path) if "att" in path.lower() else None  # all its words have it; most paths have none
    attention = None if found is None else "self-attention" if found[1] else "cross-attention"
    return attention, _kind_of_layer(path.rpartition(".")[2], module), _kind_of_tensor(name)


@lru_cache(maxsize=4096)
def _kind_of_layer(segment: str, module: str) -> str:
    return "a norm" if NORM_MODULE.search(module) or NORM.search(segment) else "another layer"


@lru_cache(maxsize=4096)
def _kind_of_tensor(name: str) -> str | None:
    return "a bias" if "bias" in name else "a weight" if "weight" in name else None
