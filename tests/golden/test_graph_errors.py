"""Every mistake that planning finds, told in the words of the language reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from lightning_tying import tie
from lightning_tying.errors import SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec
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


def sparse_layout() -> nn.Module:
    module = nn.Module()
    module.weight = nn.Parameter(torch.eye(4).to_sparse())
    return module


MODELS: Mapping[str, Callable[[], nn.Module]] = {
    "plain": plain,
    "inside_network": inside_network,
    "tied_head": tied_head,
    "weight_norm": lambda: with_module("fc", lambda: weight_norm(nn.Linear(4, 4))),
    "lazy": lambda: with_module("lazy", lambda: nn.LazyLinear(4)),
    "quantized": lambda: with_module("q", lambda: trees.tree({"weight": [4]}, dtypes={"weight": torch.uint8})),
    "float8": lambda: with_module("q", lambda: trees.tree({"weight": [4, 4]}, dtypes={"weight": torch.float8_e5m2})),
    "sparse_layout": lambda: with_module("q", sparse_layout),
    "mixed_dtypes": lambda: replace_embeddings(nn.Embedding(9, 4), nn.Linear(4, 9, dtype=torch.bfloat16)),
    "two_devices": lambda: replace_embeddings(nn.Embedding(9, 4), nn.Linear(4, 9, device="meta")),
    "sparse": lambda: replace_embeddings(nn.Embedding(9, 4, sparse=True), nn.Linear(4, 9)),
    "half_frozen": half_frozen,
    "two_vocabularies": lambda: nn.ModuleDict(
        {"embed": nn.ModuleDict({"de": nn.Embedding(500, 8), "fr": nn.Embedding(400, 8)})}
    ),
    "languages": lambda: trees.tree({f"embed.{lang}.weight": [500, 8] for lang in ("de", "fr")}),
}


def write_spec(row: Mapping[str, Any]) -> str:
    lines = ["version: 1"]
    if "root" in row:
        lines.append(f"root: {row['root']}")
    if "let" in row:
        lines.append(f"let: {row['let']}")
    lines += ["share:", *(f"  - {entry}" for entry in row["spec"])]
    if "parameters" in row:
        lines.append(f"parameters: {row['parameters']}")
    if "sync" in row:
        lines += ["sync:", f"  - {row['sync']}"]
    return "\n".join(lines) + "\n"


def write_maps(row: Mapping[str, Any], folder: Path) -> None:
    for name, content in row.get("maps", {}).items():
        folder.mkdir(exist_ok=True)
        entries = list(range(int(content.split()[0]))) if isinstance(content, str) else content
        (folder / name).write_text(json.dumps(entries), encoding="utf-8")
    for name, members in row.get("row_maps", {}).items():
        folder.mkdir(exist_ok=True)
        save_file({member: torch.arange(500) for member in members}, folder / f"{name}.safetensors", {"rows": "500"})


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['number']}-{i}" for i, row in enumerate(ROWS)])
def test_the_mistake_is_told(row: Mapping[str, Any], tmp_path: Path) -> None:
    module = MODELS[row.get("model", "plain")]()
    write_maps(row, tmp_path / "maps")

    with pytest.raises(SpecError) as caught:
        plan_graph(SharingSpec.draft(write_spec(row), file=tmp_path / "spec.yaml"), take_inventory(module))

    told = [(problem.code, problem.location.line, problem.text) for problem in caught.value.problems]
    assert told == [(row["number"], row["line"], row["message"])]


def describe(module: nn.Module) -> object:
    """Everything of a module that tying changes: its tensors, modules, classes, attributes and hooks."""
    tensors = [(name, id(parameter)) for name, parameter in module.named_parameters(remove_duplicate=False)]
    parts = [
        (
            name,
            id(part),
            type(part),
            {key: len(held) if isinstance(held, dict) else 0 for key, held in vars(part).items()},
        )
        for name, part in module.named_modules(remove_duplicate=False)
    ]
    return tensors, parts


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['number']}-{i}" for i, row in enumerate(ROWS)])
def test_a_refused_spec_changes_nothing(row: Mapping[str, Any], tmp_path: Path) -> None:
    module = trees.table_model("cpu") if row.get("model", "plain") == "plain" else MODELS[row["model"]]()
    write_maps(row, tmp_path / "maps")
    (tmp_path / "spec.yaml").write_text(write_spec(row), encoding="utf-8")
    before, random = describe(module), torch.get_rng_state()
    versions = [parameter._version for parameter in module.parameters()]

    with pytest.raises(SpecError, match=f"spec.yaml:{row['line']}: "):
        tie(module, tmp_path / "spec.yaml")

    assert describe(module) == before
    assert [parameter._version for parameter in module.parameters()] == versions  # no value was written
    assert torch.equal(torch.get_rng_state(), random)


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
                "layers.{l}.attn.{m}.weight = A[m] + low_rank(100)",
                "{sites: embed.weight, equals: E, init: site(none.weight)}",
            ]
        }
    )

    with pytest.raises(SpecError) as caught:
        plan_graph(load_spec(text), take_inventory(plain()))

    assert [problem.code for problem in caught.value.problems] == ["25", "50", "60", "64", "82"]
    assert [problem.location.line for problem in caught.value.problems] == [3, 4, 5, 6, 7]
    assert caught.value.__notes__ == ["refused by check_shapes"]


def tell(source: str | Mapping[str, Any], module: nn.Module | None = None) -> list[tuple[str, object, str]]:
    """Number, place and beginning of every mistake of a file and of the model."""
    with pytest.raises(SpecError) as caught:
        plan_graph(SharingSpec.draft(source), take_inventory(module or plain()))
    found = caught.value.problems
    return [(problem.code, problem.location.line or problem.location.path, problem.text[:24]) for problem in found]


MISTAKES = """\
version: 1
shres: 3
let: {K: 3, d0: 4}
share:
  - layers.{l}.atn.q.weight = A[l]
  - layers.{l}.norm.weight = N[k]
  - {sites: "layers.{l}.mlp.up.weight", equals: "low_rank(in)", where: l > }
  - sites: layers.{l}.mlp.down.weight
    equals: D
    excepts: x
    init: avg
  - {sites: "layers.{l}.attn.q.weight", equals: "Q[l % K]", equals: "R"}
  - head.weight = E[1]
  - bn.weight = E
  - {sites: layers.0.attn.k.weight, equals: "c[1]", penalty: 2}
  - layers.{l}.attn.k.weight = B[l / 2]
parameters:
  Q: {lr: -1}
  N: {lr: 2}
  Z: {lr: 2}
  E:
    init: avg
    dtype: f32
"""


def test_one_mistake_hides_no_other_and_makes_none() -> None:
    """`Q` and `N` are named by refused entries, so nothing says that no equation reads them."""
    found = tell(MISTAKES)

    assert [(code, place) for code, place, _ in found] == [
        ("9", 2), ("22", 3), ("25", 5), ("46", 6), ("52", 7), ("23", 7), ("11", 10), ("79", 11), ("4", 12), ("47", 14),
        ("85", 15), ("50", 16), ("84", 18), ("86", 20), ("79", 22), ("84", 23),
    ]  # fmt: skip


def test_mistakes_of_a_mapping_are_in_the_order_of_its_entries() -> None:
    content = {
        "share": ["layers.{l}.atn.q.weight = A", "head.weight = E[", "embed.weight = E[1 / 2]", {"sites": {"a"}}],
        "parameters": {"E": {"lr": "x"}},
    }

    assert [place for _, place, _ in tell(content)] == [
        "share[0]",
        "share[1]",
        "share[2]",
        "share[3].sites",
        "parameters.E",
    ]


@pytest.mark.parametrize("head", ["version: 3", "root: a.{l}"])
def test_without_version_or_root_no_pattern_is_looked_up(head: str) -> None:
    assert len(tell(f"{head}\nshare: [no.such.site = W]\n")) == 1


def test_a_wrong_name_of_let_spoils_only_the_entries_that_use_it() -> None:
    found = tell("let: {K: }\nshare:\n  - layers.{l}.norm.weight = N[l % K]\n  - no.such = W\n")

    assert [(code, place) for code, place, _ in found] == [("7", 1), ("25", 4)]


def test_what_reads_a_refused_parameter_is_not_told_to_be_open() -> None:
    """`z` is refused, so `y`, of which only its size could be told, is passed over."""
    content = {"share": ["layers.{l}.norm.weight = project(y) + z", "embed.weight = 2 * z"]}

    assert [code for code, _, _ in tell(content)] == ["60"]
