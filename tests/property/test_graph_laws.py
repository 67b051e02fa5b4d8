"""Laws of graphs: the order of equations means nothing, and discovery undoes aliasing."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from lightning_tying.errors import SpecError
from lightning_tying.graph.build import build_graph
from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.files.read_data import graph_from_data
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.spec.loader import load_spec
from tests import trees

INDEX = st.sampled_from(
    ["", "[l]", "[l % 2]", "[l // 2]", "[cycle(l, 2)]", "[sequence(l, 2)]", "[cycle_rev(l, 2)]", "[sandwich(l)]"]
)


@st.composite
def models(draw: st.DrawFn) -> dict[str, list[int]]:
    """A stack of 3 to 5 layers with 1 to 3 parameters each, and some parameters beside it."""
    depth = draw(st.integers(3, 5))
    names = draw(st.lists(st.sampled_from(["q", "k", "up", "norm"]), min_size=1, max_size=3, unique=True))
    shapes = {f"layers.{layer}.{name}.weight": [2, 3] for layer in range(depth) for name in names}
    return shapes | {"embed.weight": [5, 2], "head.weight": [5, 2], "last.weight": [5, 2]}


@st.composite
def specs(draw: st.DrawFn, shapes: dict[str, list[int]]) -> list[str]:
    """One entry for some of the names, each with an index of its own; sometimes a tie."""
    names = sorted({fqn.split(".")[2] for fqn in shapes if fqn.startswith("layers.")})
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    family = draw(st.sampled_from(["W", "V"]))
    entries = [f"layers.{{l}}.{name}.weight = {family}_{name}{draw(INDEX)}" for name in chosen]
    ties = [[], ["tie: [embed.weight, head.weight]"], ["embed.weight = E", "last.weight = E"]]
    return entries + draw(st.sampled_from(ties))


def plan(shapes: dict[str, list[int]], entries: list[str]) -> SharingGraph:
    text = "share:\n" + "".join(f"  - {entry}\n" for entry in entries)
    return build_graph(load_spec(text), take_inventory(trees.tree(shapes)))


def alias(shapes: dict[str, list[int]], graph: SharingGraph) -> nn.Module:
    return trees.tree(shapes, ties=[group.sites for group in graph.groups])


@given(st.data())
def test_the_order_of_equations_means_nothing(data: st.DataObject) -> None:
    shapes = data.draw(models())
    entries = data.draw(specs(shapes))
    permuted = data.draw(st.permutations(entries))

    assert plan(shapes, entries) == plan(shapes, permuted)


@given(st.data())
def test_discovery_finds_the_partition_of_the_aliased_module(data: st.DataObject) -> None:
    shapes = data.draw(models())
    graph = plan(shapes, data.draw(specs(shapes)))

    assert discover_graph(take_inventory(alias(shapes, graph))).partition() == graph.partition()


@given(st.data())
def test_planning_an_aliased_module_gives_the_same_graph(data: st.DataObject) -> None:
    shapes = data.draw(models())
    entries = data.draw(specs(shapes))
    graph = plan(shapes, entries)
    text = "share:\n" + "".join(f"  - {entry}\n" for entry in entries)

    assert build_graph(load_spec(text), take_inventory(alias(shapes, graph))) == graph


@given(st.data())
def test_the_spec_of_a_graph_gives_its_partition(data: st.DataObject) -> None:
    shapes = data.draw(models())
    graph = plan(shapes, data.draw(specs(shapes)))
    spec = discover_graph(take_inventory(alias(shapes, graph))).to_spec()

    if spec.entries:
        again = build_graph(load_spec(spec.dump()), take_inventory(trees.tree(shapes)))
        assert again.partition() == graph.partition()
    else:
        assert not graph.partition()


@given(st.data())
def test_every_parameter_is_counted_once(data: st.DataObject) -> None:
    shapes = data.draw(models())
    graph = plan(shapes, data.draw(specs(shapes)))

    sites = [site for group in graph.groups for site in group.sites] + [fqn for fqn, _ in graph.private]
    assert sorted(sites) == sorted(shapes)
    counted = sum(group.meta.numel for group in graph.groups) + sum(meta.numel for _, meta in graph.private)
    assert counted == trees.count(alias(shapes, graph))


@given(st.data())
def test_a_graph_survives_json(data: st.DataObject) -> None:
    shapes = data.draw(models())
    graph = plan(shapes, data.draw(specs(shapes)))

    assert graph_from_data(json.loads(graph.render("json"))) == graph


VALUES = st.sampled_from(
    [
        "W[l] + low_rank(2)",
        "W[l % 2] * V",
        "A @ B[l]",
        "concat(C[l], D)",
        "t(E) + scale(W[0], dim=0)",
        "mix(T, 2)",
        "rows(R, i0 % 3)",
        "slice(S, 1, 5)",
        "W[1]",
    ]
)


@given(st.lists(VALUES, min_size=2, max_size=4), st.data())
def test_functions_mean_the_same_in_any_order(values: list[str], data: st.DataObject) -> None:
    """Shapes go through all equations together, so no order of them can matter: not for a graph, not for a refusal."""
    shapes = {f"m{i}.layers.{layer}.weight": [4, 6] for i in range(len(values)) for layer in range(3)}
    entries = [f"m{i}.layers.{{l}}.weight = {value}" for i, value in enumerate(values)]
    permuted = data.draw(st.permutations(entries))
    parameters = "parameters: {A: {shape: [_, 2]}}\n" if any("A @" in value for value in values) else ""

    def look(order: list[str]) -> SharingGraph | set[str]:
        text = "share:\n" + "".join(f"  - {entry}\n" for entry in order) + parameters
        try:
            return build_graph(load_spec(text), take_inventory(trees.tree(shapes)))
        except SpecError as error:
            return {problem.code for problem in error.problems}

    graph = look(entries)
    assert graph == look(permuted)
    if isinstance(graph, SharingGraph):
        assert all(derived.expression.shape == (4, 6) for derived in graph.derived)
        read = {name for derived in graph.derived for name in derived.expression.parameters}
        assert {group.name for group in graph.groups} >= read
        uses = [(use.site, group.name) for group, use in graph.uses() if use.slot]
        expected = [(derived.site, name) for derived in graph.derived for name in derived.expression.parameters]
        assert sorted(uses, key=str) == sorted(expected, key=str)
