"""The picture of a sharing graph is well-formed, has every name, and nothing of it overlaps."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

from torch import nn

from lightning_tying.api import discover, tie
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.models import DecoderLM
from lightning_tying.reports.sharing_svg import graph_to_svg

SPACE = "{http://www.w3.org/2000/svg}"


def read(graph: SharingGraph) -> tuple[list[ElementTree.Element], list[str], int]:
    root = ElementTree.fromstring(graph_to_svg(graph))
    return (
        root.findall(f"{SPACE}rect"),
        [each.text or "" for each in root.findall(f"{SPACE}text")],
        len(root.findall(f"{SPACE}path")),
    )


def test_parameters_and_sites_are_joined_by_edges() -> None:
    model = DecoderLM(60, 16, 4, 2)
    embedding = {"tie": ["embed.weight", "head.weight"], "name": "E"}
    plan = tie(model, {"share": [embedding, "layers.{l}.norm1.weight = n + scale(s)"]})
    rects, texts, edges = read(plan.graph)
    assert {"E", "embed.weight", "head.weight", "layers.{0…3}.norm1.weight"} <= set(texts)
    assert edges >= 4
    boxes = sorted((float(each.get("x", 0)), float(each.get("y", 0)), float(each.get("height", 0))) for each in rects)
    for (x, top, height), (other, below, _) in pairwise(boxes):
        assert x != other or top + height <= below


def test_a_graph_without_ties_says_so() -> None:
    _, texts, edges = read(discover(nn.Linear(2, 2)))
    assert texts == ["nothing is shared"] and not edges


def test_what_is_left_out_of_a_large_picture_is_counted() -> None:
    model = nn.Sequential(*[nn.Linear(2, 2, bias=False) for _ in range(200)])
    plan = tie(model, {"share": ["{l}.weight = W[l % 100]"]})
    rects, texts, _ = read(plan.graph)
    assert len(rects) <= 180 and texts[-1].startswith("and ")
