"""What a site reads, resolved: names, numbers, arguments, keys, maps and what functions bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    FileMap,
    MatrixProduct,
    Own,
    ParameterName,
    Product,
    Read,
    ScalarMap,
    Sum,
)
from lightning_tying.graph.build import build_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.spec.schema import SharingSpec
from tests import trees


def build(text: str, module: nn.Module | None = None, file: Path | None = None) -> SharingGraph:
    return build_graph(SharingSpec.load(text, file=file), take_inventory(module or trees.table_model()))


def read(entry: str, site: str = "embed.weight", more: str = "", file: Path | None = None) -> Expression:
    graph = build(f"share:\n  - {entry}\n{more}", file=file)
    return next(derived.expression for derived in graph.derived if derived.site == site)


def name(family: str, *index: int | str) -> ParameterName:
    return ParameterName(family, index)


def find_call(expression: Expression, function: str) -> Call:
    return next(node for node in expression.walk() if isinstance(node, Call) and node.function == function)


def test_operators_and_numbers() -> None:
    expression = read("embed.weight = -(d1 ** 0.5 * E) / 4 + A @ B - 2", more="parameters: {A: {shape: [d0, 8]}}\n")

    e, whole = Read((100, 64), name("E")), (100, 64)
    scaled = Product(whole, (Constant((), 8.0), e))
    quotient = Product(whole, (Sum(whole, (scaled,), (-1,)), Constant((), 0.25)))
    product = MatrixProduct(whole, Read((100, 8), name("A")), Read((8, 64), name("B")))
    assert expression == Sum(whole, (quotient, product, Constant((), 2)), (1, 1, -1))


def test_a_number_that_is_declared_is_broadcast() -> None:
    expression = read("embed.weight = s * E + 1", more="parameters: {s: {shape: []}}\n")

    assert [node.shape for node in expression.walk() if isinstance(node, Read)] == [(), (100, 64)]


def test_what_functions_bring_belongs_to_the_site() -> None:
    site = "layers.3.attn.q.weight"

    call = find_call(read("layers.{l}.attn.q.weight = W + low_rank(8)", site), "low_rank")

    assert call.own == (
        Own("A", name("low_rank.A", site), (8, 64)),
        Own("B", name("low_rank.B", site), (64, 8)),
    )
    assert call.arguments == (("r", 8),)


def test_an_index_after_the_call_shares_it() -> None:
    graph = build("share:\n  - layers.{l}.attn.{m}.weight = W[m, l] + low_rank(8)[m, l % 2]\n")

    groups = {str(group.name): group for group in graph.groups}
    assert groups["low_rank.A[q, 1]"].sites == tuple(f"layers.{layer}.attn.q.weight" for layer in (1, 3, 5))
    assert groups["W[q, 1]"].meta.shape == (64, 64)


def test_calls_are_counted_as_written_from_left_to_right() -> None:
    """The outer `scale` is written first, so it is the first; `scale2` is along the other dimension."""
    expression = read("embed.weight = scale(scale(W, dim=0), dim=1)")

    brought = {
        own.parameter.family: own.shape for node in expression.walk() if isinstance(node, Call) for own in node.own
    }
    assert brought == {"scale.s": (64,), "scale2.s": (100,)}


def test_keys_of_fixed_maps() -> None:
    pool = "parameters: {pool: {shape: [50]}}\n"

    alone = read("layers.{l}.attn.{m}.weight = hashed(pool)", "layers.2.attn.k.weight", pool)
    shared = read("layers.{l}.attn.{m}.weight = hashed(pool)[m, l // 2]", "layers.2.attn.k.weight", pool)

    assert find_call(alone, "hashed").key == "layers.2.attn.k.weight"
    assert find_call(shared, "hashed").key == "k/1"


def test_keys_and_own_names_are_relative_to_the_root() -> None:
    module = nn.ModuleDict({"network": trees.table_model()})

    graph = build("root: network\nshare:\n  - embed.weight = low_rank(2) + E\n", module)

    assert [str(group.name) for group in graph.groups] == ["low_rank.A[embed.weight]", "low_rank.B[embed.weight]", "E"]
    assert graph.derived[0].site == "network.embed.weight"


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("flip(E, 0, 1)", (("axes", (0, 1)),)),
        ("permute(E, 1, 0)", (("axes", (1, 0)),)),
        ("roll(E, 3, dim=1)", (("n", 3), ("dim", 1))),
        ("roll(E, 3)", (("n", 3),)),
        ("concat(E, F, dim=1)", (("dim", 1),)),
        ("hashed(E, d0 // 50, sign=False)", (("seed", 2), ("sign", False))),
        ("reshape(E, [d0, d1])", (("shape", (100, 64)),)),
        ("einsum('or,ri->oi', E, F, r=d1 // 8)", (("formula", "or,ri->oi"), ("sizes", (("r", 8),)))),
        ("project(z, kind='sparse')", (("kind", "sparse"), ("cells", 6400))),
    ],
)
def test_arguments_by_name(written: str, arguments: object) -> None:
    function = written.partition("(")[0]
    site = '{sites: embed.weight, equals: "' + written + '"}'
    shapes = {"hashed": "E: {shape: [9]}", "reshape": "E: {shape: [d1, d0]}", "project": "z: {shape: [9]}"}.get(
        function, ""
    )

    expression = read(site, more=f"parameters: {{{shapes}}}\n" if shapes else "")

    assert find_call(expression, function).arguments == arguments


def test_cells_of_project_are_those_of_all_sites_that_read_it_so() -> None:
    graph = build(
        """
        share:
          - layers.{l}.norm.weight = N + project(z)
          - bn.{m}= M[m] + 2 * project(z, seed=1) + project(y)
        parameters: {z: {shape: [5]}, y: {shape: [3]}}
        """
    )

    found = {
        (derived.site, str(node.operands[0].parameters[0])): dict(node.arguments)["cells"]
        for derived in graph.derived
        for node in derived.expression.walk()
        if isinstance(node, Call)
    }
    assert found["layers.0.norm.weight", "z"] == found["bn.bias", "z"] == 8 * 64
    assert found["bn.bias", "y"] == 2 * 64


def test_cores_of_a_tensor_train() -> None:
    expression = read("embed.weight = tt(G[0], rows=[10, 10], cols=[8, 8], rank=2)")

    assert expression.parameters == (name("G", 0, 0), name("G", 0, 1))
    assert [node.shape for node in expression.walk()] == [(100, 64), (1, 10, 8, 2), (2, 10, 8, 1)]


def test_maps_hold_only_the_words_they_use() -> None:
    expression = read(
        "layers.{l}.attn.{m}.weight = rows(T, (i0 + l) % K)", "layers.2.attn.k.weight", "let: {K: 7, L: 9}\n"
    )

    (map_,) = [value for key, value in find_call(expression, "rows").arguments if key == "map"]
    assert map_ == ScalarMap("(i0 + l) % K", (("K", 7), ("l", 2)))


def test_what_is_the_same_for_all_cells_is_reckoned_before() -> None:
    entry = "layers.{l}.attn.q.weight = rows(T, (i0 + order[l] + cycle(l, 2)) % count(l))"

    expression = read(entry, "layers.3.attn.q.weight", "let: {order: [9, 8, 7, 6, 5, 4]}\n")

    assert dict(find_call(expression, "rows").arguments)["map"] == ScalarMap("(i0 + 6 + 1) % 6", ())


def test_maps_are_read_once_beside_the_spec(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "up.json").write_text(json.dumps({"map": [0, 2] * 64, "rows": 9}))

    graph = build(
        "share:\n  - layers.{l}.mlp.{m:up}.weight = rows(T, map='maps/{m}.json')\n", file=tmp_path / "spec.yaml"
    )

    maps = [
        dict(derived.expression.arguments)["map"] for derived in graph.derived if isinstance(derived.expression, Call)
    ]
    assert all(isinstance(one, FileMap) and one is maps[0] for one in maps)
    assert graph.groups[0].meta.shape == (9, 64)


def test_one_is_not_true() -> None:
    """`1`, `1.0` and `True` are equal in Python; at sites that differ in no more they are told apart."""
    graph = build("share:\n  - layers.{l}.norm.weight = W * (l / 1) + V * l\n")

    numbers = [
        [node.number for node in derived.expression.walk() if isinstance(node, Constant)] for derived in graph.derived
    ]
    assert [[type(number) for number in pair] for pair in numbers] == [[float, int]] * 6
