"""Every mistake that planning finds, told in the words of the language reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from lightning_tying.errors import SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.loader import load_spec
from tests import trees

ROWS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "graph_errors.yaml").read_text(encoding="utf-8"))


def plain() -> nn.Module:
    return trees.table_model()


def inside_network() -> nn.Module:
    module = nn.Module()
    module.add_module("network", trees.table_model())
    return module


def tied_head() -> nn.Module:
    module = trees.table_model()
    module.get_submodule("head")._parameters["weight"] = module.get_parameter("embed.weight")
    return module


def with_module(name: str, make: Callable[[], nn.Module]) -> nn.Module:
    module = trees.table_model()
    module.add_module(name, make())
    return module


def replace_embeddings(embed: nn.Module, head: nn.Module) -> nn.Module:
    module = nn.Module()
    module.add_module("embed", embed)
    module.add_module("head", head)
    return module


def half_frozen() -> nn.Module:
    module = replace_embeddings(nn.Embedding(9, 4), nn.Linear(4, 9))
    module.get_parameter("embed.weight").requires_grad_(False)
    return module


MODELS: Mapping[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "inside_network": inside_network,
    "tied_head": tied_head,
    "weight_norm": lambda: with_module("fc", lambda: weight_norm(nn.Linear(4, 4))),
    "lazy": lambda: with_module("lazy", lambda: nn.LazyLinear(4)),
    "quantized": lambda: with_module("q", lambda: trees.tree({"weight": [4]}, dtypes={"weight": torch.uint8})),
    "mixed_dtypes": lambda: replace_embeddings(nn.Embedding(9, 4), nn.Linear(4, 9, dtype=torch.bfloat16)),
    "two_devices": lambda: replace_embeddings(nn.Embedding(9, 4), nn.Linear(4, 9, device="meta")),
    "sparse": lambda: replace_embeddings(nn.Embedding(9, 4, sparse=True), nn.Linear(4, 9)),
    "half_frozen": half_frozen,
}


def write_spec(row: Mapping[str, Any]) -> str:
    lines = ["version: 1"]
    if "let" in row:
        lines.append(f"let: {row['let']}")
    lines += ["share:", *(f"  - {entry}" for entry in row["spec"])]
    if "parameters" in row:
        lines.append(f"parameters: {row['parameters']}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['number']}-{i}" for i, row in enumerate(ROWS)])
def test_the_mistake_is_told(row: Mapping[str, Any]) -> None:
    module = MODELS[row.get("model", "plain")]()

    with pytest.raises(SpecError) as caught:
        plan_graph(load_spec(write_spec(row)), take_inventory(module))

    told = [(problem.code, problem.location.line, problem.text) for problem in caught.value.problems]
    assert told == [(row["number"], row["line"], row["message"])]


@pytest.mark.parametrize("row", [row for row in ROWS if row["number"] in {"25", "26", "28", "31", "32"}])
def test_a_pattern_without_match_can_be_a_warning(row: Mapping[str, Any]) -> None:
    inventory = take_inventory(MODELS[row.get("model", "plain")]())

    graph = plan_graph(load_spec(write_spec(row)), inventory, strict=False)

    assert row["message"] in [warning.text for warning in graph.warnings]


def test_all_mistakes_are_told_at_once() -> None:
    text = write_spec(
        {
            "spec": [
                "layers.{l}.atn.q.weight = W",
                "layers.{l}.norm.weight = N[l / 2]",
                "layers.{l}.mlp.{m}.weight = M[l]",
                "layers.{l}.attn.{m}.weight = A[m] + B",
                "{sites: embed.weight, equals: E, init: site(none.weight)}",
            ]
        }
    )

    with pytest.raises(SpecError) as caught:
        plan_graph(load_spec(text), take_inventory(plain()))

    assert [problem.code for problem in caught.value.problems] == ["25", "50", "60", "lowering", "82"]
    assert [problem.location.line for problem in caught.value.problems] == [3, 4, 5, 6, 7]
    assert caught.value.__notes__ == ["refused by check_shapes"]
