"""From a sharing graph to a small SVG: shared parameters at the left, the sites that read them at the right."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import SharingGroup
from lightning_tying.graph.pictures.fold import fold_fqns

MOST = 9
LETTER, LINE, PAD, GAP = 7.3, 30, 12, 120
STYLE = (
    "text{font:12px ui-monospace,Menlo,Consolas,monospace;fill:#20242f}"
    ".p{fill:#e4e9ff;stroke:#5466c9}.s{fill:#f4f4f1;stroke:#9a9a92}"
    "path{fill:none;stroke:#7d8499;stroke-width:1.3}.d{stroke-dasharray:5 3}.m{fill:#7d8499}"
)


@dataclass(frozen=True)
class Box:
    """Sites that read the same parameters and differ in a number at most; `dashed` where their value is computed."""

    label: str
    kind: str
    groups: tuple[SharingGroup, ...]
    dashed: bool


def draw_graph(graph: SharingGraph, title: str) -> str:
    """An SVG image; solid lines are aliases, dashed ones go into a value that is computed."""
    boxes = _choose(_make_boxes(graph))
    groups = list(dict.fromkeys(group for box in boxes for group in box.groups))
    names = {group: f"{group.name} {_shape(group)}" for group in groups}
    left, right = _width(names.values()), _width(box.label for box in boxes)
    rows = max(len(groups), len(boxes))
    lower, upper = (rows - len(groups)) * LINE / 2, (rows - len(boxes)) * LINE / 2
    tops = {group: lower + i * LINE for i, group in enumerate(groups)}
    parts = [
        _line(left, tops[group], left + GAP, upper + i * LINE, box.dashed)
        for i, box in enumerate(boxes)
        for group in box.groups
    ]
    parts += [_box("p", 1, tops[group], left, name) for group, name in names.items()]
    parts += [_box("s", left + GAP, upper + i * LINE, right, box.label) for i, box in enumerate(boxes)]
    hidden = len(graph.groups) - len(groups)
    if hidden:
        parts.append(f'<text class="m" x="{PAD}" y="{rows * LINE + 16}">… and {hidden} more</text>')
    width, height = left + GAP + right + 2, rows * LINE + (24 if hidden else 2)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title><style>{STYLE}</style>", *parts, "</svg>\n"])


def _make_boxes(graph: SharingGraph) -> list[Box]:
    """All sites that are bound, in model order."""
    readers: dict[str, list[SharingGroup]] = {}
    for group, use in graph.uses():
        readers.setdefault(use.site, []).append(group)
    derived = {site.site for site in graph.derived}
    alike: dict[tuple[str, tuple[SharingGroup, ...]], list[str]] = {}
    for site in (site.fqn for site in graph.sites if site.fqn in readers):
        alike.setdefault((re.sub(r"[0-9]+", "0", site), tuple(readers[site])), []).append(site)
    return [
        Box(label, kind, groups, sites[0] in derived)
        for (kind, groups), sites in alike.items()
        for label in fold_fqns(sites)
    ]


def _choose(boxes: list[Box]) -> list[Box]:
    """As many as fit: those like the first one, those that read what they read, then the next ones, in model order."""
    chosen: list[Box] = []
    while len(chosen) < MOST and len(chosen) < len(boxes):
        rest = [box for box in boxes if box not in chosen]
        kinds, read = {box.kind for box in chosen}, {group for box in chosen for group in box.groups}
        like = [box for box in rest if box.kind in kinds]
        near = [box for box in rest if not read.isdisjoint(box.groups)]
        chosen.append((like or near or rest)[0])
        if len({group for box in chosen for group in box.groups}) >= MOST:
            break
    return [box for box in boxes if box in chosen]


def _shape(group: SharingGroup) -> str:
    return "[" + ", ".join(map(str, group.meta.shape)) + "]"


def _width(texts: Iterable[str]) -> float:
    return max((len(text) for text in texts), default=0) * LETTER + 2 * PAD


def _box(kind: str, x: float, y: float, width: float, text: str) -> str:
    corner = 11 if kind == "p" else 2
    return (
        f'<rect class="{kind}" x="{x:.0f}" y="{y + 3:.0f}" width="{width - 2:.0f}" height="{LINE - 8}" rx="{corner}"/>'
        f'<text x="{x + PAD:.0f}" y="{y + 18:.0f}">{escape(text)}</text>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, dashed: bool) -> str:
    y, to_y = y + LINE / 2 - 1, to_y + LINE / 2 - 1
    half = (x + to_x) / 2
    kind = ' class="d"' if dashed else ""
    return f'<path{kind} d="M{x:.0f} {y:.0f}C{half:.0f} {y:.0f} {half:.0f} {to_y:.0f} {to_x:.0f} {to_y:.0f}"/>'
