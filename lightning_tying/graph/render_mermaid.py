"""From a sharing graph to a Mermaid flowchart: shared parameters at the left, their sites at the right."""

from __future__ import annotations

from lightning_tying.graph.fold import fold_fqns
from lightning_tying.graph.parts import GraphView
from lightning_tying.graph.render_text import describe_meta

ESCAPES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;"}


def graph_to_mermaid(graph: GraphView) -> str:
    """A flowchart that Markdown pages show; sites that differ in a number share a box."""
    lines = ["flowchart LR"]
    for number, group in enumerate(graph.groups):
        label = f"{_escape(str(group.name))}<br/>{_escape(describe_meta(group.meta))}"
        lines.append(f'  p{number}(["{label}"])')
        for place, site in enumerate(fold_fqns(group.sites)):
            lines.append(f'  p{number} --> p{number}s{place}["{_escape(site)}"]')
    return "\n".join(lines)


def _escape(text: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in text)
