"""From a sharing graph to Graphviz: shared parameters at the left, their sites at the right."""

from __future__ import annotations

from lightning_tying.graph.parts import GraphView
from lightning_tying.graph.pictures.picture import draw_picture


def graph_to_dot(graph: GraphView) -> str:
    """A digraph for `dot -Tsvg`; sites that differ in a number share a box."""
    picture = draw_picture(graph)
    lines = ["digraph sharing {", "  rankdir=LR;", "  node [shape=box];"]
    for name, parameter in picture.parameters.items():
        lines.append(f'  {name} [label="{_write(parameter)}", shape=ellipse];')
    for name, box in picture.boxes.items():
        lines.append(f'  {name} [label="{_write(box)}"];')
    lines += [f"  {start} -> {end};" for start, end in picture.edges]
    return "\n".join([*lines, "}"])


def _write(lines: tuple[str, ...]) -> str:
    return "\\n".join(_escape(line) for line in lines)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
