"""Warns where unlike roles read one parameter: self- and cross-attention, a norm and a weight (W1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.passes.group_sites import Reader, find_odd_reader, find_place, group_sites

ATTENTION = {
    "self-attention": frozenset({"self_attn", "self_attention", "selfattention", "selfattn"}),
    "cross-attention": frozenset(
        {"cross_attn", "cross_attention", "crossattention", "encoder_attn", "encdecattention", "multihead_attn"}
    ),
}
NORM = re.compile(
    r"(^|_)(layer_?|rms_?|batch_?|group_?|instance_?)?norm\d*($|_)|^ln_?\w{0,3}$|^bn_?\d*$", re.IGNORECASE
)
NORM_MODULE = re.compile(r"norm", re.IGNORECASE)


def warn_roles(graph: SharingGraph) -> SharingGraph:
    """Add one warning for each family that unlike roles read."""
    warnings: dict[tuple[str, Location], Problem] = {}
    for group, readers in group_sites(graph):
        if len(readers) > 1 and group.uses[0].location != Location():  # a tie of the model itself is its own affair
            for warning in _find_unlike(group, readers):
                warnings.setdefault((group.name.family, warning.location), warning)
    return replace(graph, warnings=(*graph.warnings, *warnings.values())) if warnings else graph


def _find_unlike(group: SharingGroup, readers: list[Reader]) -> Iterator[Problem]:
    """The first pair of sites whose roles differ in kind, where both kinds are known."""
    for kinds in (_kind_of_attention, _kind_of_layer, _kind_of_tensor):
        known = [reader for reader in readers if kinds(reader[1].fqn, reader[1].module) is not None]
        odd = find_odd_reader(known, lambda site, kinds=kinds: kinds(site.fqn, site.module)) if known else None
        if odd is not None:
            roles = [f"{kinds(site.fqn, site.module)} ({site.fqn})" for _, site in (known[0], odd)]
            text = f"`{group.name}` is read by {roles[0]} and {roles[1]}."
            yield Problem("W1", find_place(known[0][0], odd[0]), text)
            return


def _kind_of_attention(fqn: str, _module: str) -> str | None:
    segments = {segment.lower() for segment in fqn.split(".")}
    return next((kind for kind, names in ATTENTION.items() if not names.isdisjoint(segments)), None)


def _kind_of_layer(fqn: str, module: str) -> str | None:
    segments = fqn.split(".")[-2:-1]
    if NORM_MODULE.search(module) or any(NORM.search(segment) for segment in segments):
        return "a norm"
    return "another layer"


def _kind_of_tensor(fqn: str, _module: str) -> str | None:
    name = fqn.rpartition(".")[2]
    return "a bias" if "bias" in name else "a weight" if "weight" in name else None
