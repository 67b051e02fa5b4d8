"""The pictures of a graph, against golden files; and the way back from data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.graph.files.read_data import graph_from_data
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph, SharingGroup, Use
from lightning_tying.graph.parts import ParameterName, TensorMeta
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.loader import load_spec
from tests import trees

GOLDEN = Path(__file__).parents[2] / "golden" / "render"
SPEC = """
share:
  - tie: [embed.weight, head.weight]
  - {sites: "layers.{l}.mlp.{m}.weight", equals: "W[m, l // 3]", init: mean}
  - layers.{l}.norm.weight = N
  - bn.weight = N
parameters:
  W: {lr: 0.5, weight_decay: 0}
  N: {frozen: true}
"""
DERIVED = """
share:
  - {sites: "layers.{l}.mlp.{m}.weight", equals: "W[m, l % 2] + low_rank(4)"}
  - {sites: "layers.{l}.attn.{m}.weight", equals: "X[site] + vera(2)"}
  - {sites: "head.weight", equals: "0.5 * E"}
  - embed.weight = E
  - {sites: "layers.{l}.norm.weight", equals: N, where: l < 2}
  - {sites: "layers.{l}.norm.weight", equals: stop(N), where: l >= 2, penalty: 0.01}
parameters:
  X: {frozen: true}
"""


@pytest.fixture
def graph() -> SharingGraph:
    return plan_graph(load_spec(SPEC), take_inventory(trees.table_model()))


@pytest.fixture
def derived() -> SharingGraph:
    return plan_graph(load_spec(DERIVED), take_inventory(trees.table_model()))


@pytest.mark.parametrize("name", ["graph", "derived"])
@pytest.mark.parametrize(
    ("format", "suffix"), [("text", "txt"), ("json", "json"), ("mermaid", "mmd"), ("dot", "dot"), ("html", "html")]
)
def test_golden(
    name: str,
    format: Literal["text", "json", "mermaid", "dot", "html"],
    suffix: str,
    request: pytest.FixtureRequest,
) -> None:
    graph: SharingGraph = request.getfixturevalue(name)
    file = GOLDEN / f"{name}.{suffix}"
    if request.config.getoption("--write-golden"):
        file.write_text(graph.render(format) + "\n", encoding="utf-8")

    assert graph.render(format) + "\n" == file.read_text(encoding="utf-8")


def test_methods_and_formats_agree(graph: SharingGraph) -> None:
    assert str(graph) == graph.render()
    assert graph._repr_html_() == graph.render("html")
    assert graph.to_mermaid() == graph.render("mermaid")
    assert graph.to_dot() == graph.render("dot")
    assert json.loads(graph.render("json")) == graph.to_dict()


def test_a_graph_comes_back_from_json(graph: SharingGraph) -> None:
    again = graph_from_data(json.loads(json.dumps(graph.to_dict())))

    assert again == graph
    assert again.warnings == graph.warnings
    assert [use.location for _, use in again.uses()] == [use.location for _, use in graph.uses()]


@pytest.mark.parametrize("data", [{}, {"version": 1}, {"version": 2, "groups": [1], "private": [], "warnings": []}])
def test_other_data_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        graph_from_data(data)


def test_derived_sites_come_back_from_json(derived: SharingGraph) -> None:
    assert graph_from_data(json.loads(json.dumps(derived.to_dict()))) == derived


def test_a_large_graph_of_derived_sites_stays_readable() -> None:
    spec = 'share: [{sites: "layers.{l}.{name*}", equals: "X[site] + low_rank(2)", where: ndim == 2}]'
    graph = plan_graph(load_spec(spec), take_inventory(trees.tree(trees.stack(120, 8, 16))))

    assert len(graph.derived) == 720
    for format in ("text", "mermaid", "dot"):
        assert len(graph.render(format).splitlines()) < 40
    assert len(graph.render("html")) < 5000
    assert "X[…] (480)  [8, 8] float32" in graph.render()


def test_names_are_escaped() -> None:
    name = '<script>"x"</script>\\'
    group = SharingGroup(ParameterName(name), (Use(name),), TensorMeta((1,)))
    graph = SharingGraph((group,))

    assert "<script>" not in graph.render("html")
    assert "<script>" not in graph.render("mermaid")
    assert '\\"x\\"</script>\\\\' in graph.render("dot")


def test_an_unknown_format_is_refused(graph: SharingGraph) -> None:
    with pytest.raises(ConfigError, match="Known: text, json, mermaid, dot, html"):
        graph.render("svg")  # type: ignore[arg-type]
