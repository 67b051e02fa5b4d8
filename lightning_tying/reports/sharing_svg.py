"""A sharing graph in, a picture out: an SVG with shared parameters at the left and the sites that read them right."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from statistics import mean

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.pictures.picture import Lines, draw_picture

MOST_NODES = 60  # of a column; a picture with more is no longer looked at
LINE, PADDING, GAP, MARGIN, CHANNEL, CHARACTER = 16, 8, 12, 16, 160, 7.3

Column = dict[str, tuple[float, float]]  # of each node: its upper edge and its height


def graph_to_svg(graph: SharingGraph) -> str:
    """One `<svg>` element that needs no style sheet, font or script; it follows the page's width."""
    picture = draw_picture(graph)
    parameters = dict(list(picture.parameters.items())[:MOST_NODES])
    edges = [(start, end) for start, end in picture.edges if start in parameters]
    read = {end for _, end in edges}
    boxes = {name: lines for name, lines in list(picture.boxes.items()) if name in read}
    boxes = dict(list(boxes.items())[: 2 * MOST_NODES])
    edges = [(start, end) for start, end in edges if end in boxes]
    left_out = len(picture.parameters) - len(parameters) + len(picture.boxes) - len(boxes)
    return _write(parameters, boxes, edges, left_out)


def _write(
    parameters: Mapping[str, Lines], boxes: Mapping[str, Lines], edges: list[tuple[str, str]], left_out: int
) -> str:
    right = _stack(boxes)
    left = _place_beside(parameters, right, edges)
    widths = [max((_width(lines) for lines in column.values()), default=0.0) for column in (parameters, boxes)]
    start = MARGIN + widths[0] + CHANNEL
    bottom = max((top + height for top, height in (*left.values(), *right.values())), default=MARGIN)
    width, height = max(start + widths[1] + MARGIN, 280), bottom + MARGIN + LINE
    parts = [_write_edge(left[one], right[other], MARGIN + widths[0], start) for one, other in edges]
    parts += [_write_node(parameters[name], MARGIN, place, widths[0], round_by=14) for name, place in left.items()]
    parts += [_write_node(boxes[name], start, place, widths[1], round_by=2) for name, place in right.items()]
    if not parameters:
        parts.append(_write_line("nothing is shared", MARGIN, MARGIN + LINE / 2))
    elif left_out:
        parts.append(_write_line(f"and {left_out:,} more", MARGIN, height - MARGIN))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        'font-family="monospace" font-size="12" role="img" style="max-width: 100%; height: auto; background: #fff">'
        "<title>Shared parameters and the sites that read them</title>"
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _stack(nodes: Mapping[str, Lines]) -> Column:
    column: Column = {}
    top = float(MARGIN)
    for name, lines in nodes.items():
        column[name] = (top, _height(lines))
        top += _height(lines) + GAP
    return column


def _place_beside(nodes: Mapping[str, Lines], right: Column, edges: list[tuple[str, str]]) -> Column:
    """Each node as near as possible to the middle of what reads it, none above another."""
    ends: dict[str, list[float]] = {name: [] for name in nodes}
    for start, end in edges:
        top, height = right[end]
        ends[start].append(top + height / 2)
    wanted = {name: (mean(ends[name]) if ends[name] else 0.0) - _height(lines) / 2 for name, lines in nodes.items()}
    column: Column = {}
    free = float(MARGIN)
    for name in sorted(nodes, key=lambda each: wanted[each]):
        top = max(free, wanted[name])
        column[name] = (top, _height(nodes[name]))
        free = top + _height(nodes[name]) + GAP
    return column


def _height(lines: Lines) -> float:
    return LINE * len(lines) + 2 * PADDING


def _width(lines: Lines) -> float:
    return CHARACTER * max(map(len, lines), default=0) + 2 * PADDING


def _write_edge(one: tuple[float, float], other: tuple[float, float], start: float, end: float) -> str:
    y, z = (top + height / 2 for top, height in (one, other))
    half = (end - start) / 2
    path = f"M{start:.0f},{y:.0f} C{start + half:.0f},{y:.0f} {end - half:.0f},{z:.0f} {end:.0f},{z:.0f}"
    return f'<path d="{path}" fill="none" stroke="#8a8fa0"/>'


def _write_node(lines: Lines, x: float, place: tuple[float, float], width: float, *, round_by: int) -> str:
    top, height = place
    fill = "#e8eefc" if round_by > 2 else "#f6f6f4"
    box = (
        f'<rect x="{x:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height:.0f}" rx="{round_by}" '
        f'fill="{fill}" stroke="#4a5068"/>'
    )
    texts = (_write_line(line, x + PADDING, top + PADDING + LINE * (row + 0.75)) for row, line in enumerate(lines))
    return "".join([box, *texts])


def _write_line(text: str, x: float, y: float) -> str:
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)  # XML forbids some
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="#1c2030">{escape(shown)}</text>'
