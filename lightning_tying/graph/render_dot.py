"""From a sharing graph to Graphviz: shared parameters at the left, their sites at the right."""

from __future__ import annotations

from lightning_tying.graph.fold import fold_fqns
from lightning_tying.graph.parts import GraphView
from lightning_tying.graph.render_text import describe_meta


def graph_to_dot(graph: GraphView) -> str:
    """A digraph for `dot -Tsvg`; sites that differ in a number share a box."""
    lines = ["digraph sharing {", "  rankdir=LR;", "  node [shape=box];"]
    for number, group in enumerate(graph.groups):
        label = f"{_escape(str(group.name))}\\n{_escape(describe_meta(group.meta))}"
        lines.append(f'  p{number} [label="{label}", shape=ellipse];')
        for place, site in enumerate(fold_fqns(group.sites)):
            lines.append(f'  p{number}s{place} [label="{_escape(site)}"];')
            lines.append(f"  p{number} -> p{number}s{place};")
    return "\n".join([*lines, "}"])


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
