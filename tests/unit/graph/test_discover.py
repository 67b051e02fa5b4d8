"""The ties that a module has already, and the spec that gives them again."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_tying.errors import SpecError
from lightning_tying.graph.build import build_graph
from lightning_tying.graph.discover import discover_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.spec.loader import load_spec
from tests import trees


def discover(module: nn.Module) -> SharingGraph:
    return discover_graph(take_inventory(module))


def test_groups_are_named_by_their_owners() -> None:
    module = trees.tree(trees.embedding_and_head(9, 4) | {"norm.weight": [4]}, ties=[["embed.weight", "head.weight"]])

    graph = discover(module)

    assert [str(group.name) for group in graph.groups] == ["embed.weight"]
    assert [fqn for fqn, _ in graph.private] == ["norm.weight"]


def test_the_spec_of_a_graph_folds_numbers_only_where_it_matches_nothing_else() -> None:
    norms = [f"layers.{layer}.norm.weight" for layer in range(6)]
    module = trees.tree({fqn: [4] for fqn in (*norms, *(f"layers.{layer}.fc.weight" for layer in range(3)))})
    for fqn in norms:
        parent, name = trees.make_parent(module, fqn)
        parent._parameters[name] = module.get_parameter(norms[0])
    fc, name = trees.make_parent(module, "layers.1.fc.weight")
    fc._parameters[name] = module.get_parameter("layers.0.fc.weight")

    spec = discover(module).to_spec()

    assert [[pattern.text for pattern in entry.sites] for entry in spec.entries] == [
        ["layers.*.norm.weight"],
        ["layers.0.fc.weight", "layers.1.fc.weight"],
    ]


def test_the_dump_of_the_spec_gives_the_partition_again() -> None:
    shapes = trees.stack(4, 8, 16)
    text = "share:\n  - layers.{l}.{name*} = block[name, l % 2]\n"
    graph = build_graph(load_spec(text), take_inventory(trees.tree(shapes)))

    again = build_graph(load_spec(graph.to_spec().dump()), take_inventory(trees.tree(shapes)))

    assert again.partition() == graph.partition()


def test_a_name_with_signs_of_the_language_is_left_open_or_refused() -> None:
    module = nn.ParameterDict({"a=b": nn.Parameter(), "other": nn.Parameter()})
    module["other"] = module["a=b"]
    assert [[pattern.text for pattern in entry.sites] for entry in discover(module).to_spec().entries] == [
        ["a*b", "other"]
    ]

    module["a-b"] = nn.Parameter()
    with pytest.raises(SpecError, match="a letter that patterns cannot say"):
        discover(module).to_spec()
