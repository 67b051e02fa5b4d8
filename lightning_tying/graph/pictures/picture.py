"""A graph in; what all its pictures show out: parameters at the left, boxes of sites at the right, edges between."""

from __future__ import annotations

from dataclasses import dataclass, field

from lightning_tying.graph.parts import GraphView, ParameterName
from lightning_tying.graph.pictures.bundles import Bundle, bundle_sites, is_shared
from lightning_tying.graph.pictures.fold import fold_fqns
from lightning_tying.graph.pictures.render_text import describe_meta, fold_alone

MOST_LINES = 8  # of one box; the rest is counted

Lines = tuple[str, ...]


@dataclass
class Picture:
    """Nodes with the lines of their labels, and edges between their names.

    Args:
        parameters: shared ones alone, those of one derived site each folded.
        boxes: sites; derived ones end with the form of their value.
        edges: from a parameter to a box that reads it.
    """

    parameters: dict[str, Lines] = field(default_factory=dict[str, Lines])
    boxes: dict[str, Lines] = field(default_factory=dict[str, Lines])
    edges: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def draw_picture(graph: GraphView) -> Picture:
    """Lay a graph out; the names of nodes are letters and numbers only."""
    picture = Picture()
    names: dict[ParameterName, str] = {}
    for number, group in enumerate(group for group in graph.groups if is_shared(group)):
        name = names[group.name] = f"p{number}"
        picture.parameters[name] = (str(group.name), describe_meta(group.meta))
        for place, line in enumerate(fold_fqns(use.site for use in group.uses if not use.slot)):
            picture.boxes[f"{name}s{place}"] = (line,)
            picture.edges.append((name, f"{name}s{place}"))
    for number, bundle in enumerate(bundle_sites(graph)):
        _draw_bundle(picture, f"d{number}", bundle, names)
    return picture


def _draw_bundle(picture: Picture, name: str, bundle: Bundle, names: dict[ParameterName, str]) -> None:
    lines = fold_fqns(bundle.sites)
    more = (f"and {len(lines) - MOST_LINES} more",) if len(lines) > MOST_LINES else ()
    picture.boxes[name] = (*lines[:MOST_LINES], *more, f"= {bundle.form}")
    picture.edges += [(names[group.name], name) for group in bundle.shared]
    alone = fold_alone(bundle.alone)
    if alone:
        more = (f"and {len(alone) - MOST_LINES} more",) if len(alone) > MOST_LINES else ()
        picture.parameters[f"{name}own"] = (*alone[:MOST_LINES], *more)
        picture.edges.append((f"{name}own", name))
