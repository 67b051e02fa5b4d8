"""From a sharing graph to a Mermaid flowchart: shared parameters at the left, their sites at the right."""

from __future__ import annotations

from lightning_tying.graph.parts import GraphView
from lightning_tying.graph.pictures.picture import draw_picture

ESCAPES = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;"}


def graph_to_mermaid(graph: GraphView) -> str:
    """A flowchart that Markdown pages show; sites that differ in a number share a box."""
    picture = draw_picture(graph)
    lines = ["flowchart LR"]
    for name, parameter in picture.parameters.items():
        lines.append(f'  {name}(["{_write(parameter)}"])')
    for name, box in picture.boxes.items():
        lines.append(f'  {name}["{_write(box)}"]')
    lines += [f"  {start} --> {end}" for start, end in picture.edges]
    return "\n".join(lines)


def _write(lines: tuple[str, ...]) -> str:
    return "<br/>".join(_escape(line) for line in lines)


def _escape(text: str) -> str:
    return "".join(ESCAPES.get(letter, letter) for letter in text)
