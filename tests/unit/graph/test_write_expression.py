"""An expression is written so that the reader reads the same at its site."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    ParameterName,
    Read,
    ScalarMap,
    Sum,
)
from lightning_tying.graph.files.write_expression import outline_expression, write_expression
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.loader import load_spec
from tests import trees

SITE = "layers.0.fc.weight"
SHAPES = {
    "T": [3, 12, 8],
    "V": [12, 8],
    "pool": [20],
    "s": [],
    "R": [5, 8],
    "U": [8, 12],
    "A": [12, 4],
    "B": [4, 6],
    "C": [6, 8],
}


def read(text: str, folder: Path | None = None) -> Expression:
    shapes = {name: shape for name, shape in SHAPES.items() if re.search(rf"\b{name}\b(?!')", text)}
    spec = {
        "let": {"K": 3, "lang": "de"},
        "share": [{"sites": "layers.{l}.{name}.weight", "equals": text}],
        "parameters": {name: {"shape": shape} for name, shape in shapes.items()},
    }
    file = None if folder is None else folder / "spec.yaml"
    graph = plan_graph(load_spec(spec, file=file), take_inventory(trees.tree({SITE: [12, 8]})))
    (derived,) = graph.derived
    return derived.expression


@pytest.mark.parametrize(
    "text",
    [
        "W[name, l] + low_rank(2)",
        "W['a.b', -1] - 0.5 * V",
        "-W + V",
        "-(W - V) * 2 + X",
        "X * (W + V)",
        "s * V",
        "A @ (B @ C)",
        "(A + A2) @ D",
        "W + low_rank(2)[name] + low_rank(3) - low_rank(2)[name, 1]",
        "mix(T, 3, top=2)['k', l]",
        "mix(T, 3, softmax=True)",
        "hashed(pool, 7, sign=False)[name]",
        "hashed(pool)",
        "W + project(pool, kind='sparse')",
        "W + vera(2, 1)[l]",
        "einsum('or,ri->oi', X, Y, r=4)",
        "einsum('a,b->ab', x, y)",
        "tt(G[name], [3, 4], [2, 4], 2)",
        "permute(U, 1, 0)",
        "flip(V, 0, 1)",
        "roll(V, l + 1, dim=1)",
        "reshape(V, [12, 8]) + t(U)",
        "rows(R, i0 % 5)",
        "rows(R, hash(i0, 'x') % 5)",
        "concat(slice(V, 0, 4), slice(V, 4, 12))",
        "scale(normalize(V), dim=0)['n']",
        "drop(tanh(W), 0.25)",
        "stop(W) + scale_grad(V, 0.5)",
        "repeat(W, 3, block=2)",
    ],
)
def test_the_text_is_read_back(text: str) -> None:
    expression = read(text)

    assert read(write_expression(expression, SITE)) == expression
    assert read(write_expression(expression)) == expression  # with every index written out


def test_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([i % 5 for i in range(12)]), encoding="utf-8")
    expression = read("rows(R, 'rows.json')", tmp_path)

    assert write_expression(expression) == "rows(R, map='rows.json')"
    assert read(write_expression(expression), tmp_path) == expression


def test_the_words_of_a_map_are_written_out() -> None:
    map = ScalarMap("hash(lang, i0 // K) % d1", (("lang", "de"), ("K", 3), ("d1", 8)))
    expression = Call((12, 8), "rows", (Read((8, 8), ParameterName("R")),), (("map", map), ("block", 1)))

    assert write_expression(expression) == "rows(R, map=hash('de', i0 // 3) % d1)"


def test_what_belongs_to_the_site_alone_has_no_index() -> None:
    expression = read("low_rank(2) + low_rank(3)[name]")

    assert write_expression(expression, SITE) == "low_rank(r=2) + low_rank(r=3)['fc']"
    assert write_expression(expression) == f"low_rank(r=2)['{SITE}'] + low_rank(r=3)['fc']"
    assert outline_expression(expression) == "low_rank(r=2) + low_rank(r=3)"


def test_the_users_own_function_has_all_its_arguments_by_name() -> None:
    inside = Read((4, 4), ParameterName("W", ("q", 2)))
    expression = Call((4, 4), "my.Butterfly", (inside,), (("levels", 3), ("sizes", (2, 2)), ("map", None)))

    assert write_expression(expression) == "my.Butterfly(W['q', 2], levels=3, sizes=[2, 2])"
    assert outline_expression(expression) == "my.Butterfly(W[…], levels=3, sizes=[2, 2])"


def test_a_negative_number_is_held_together() -> None:
    expression = Sum((2,), (Read((2,), ParameterName("W")), Constant((), -0.5)), (1, -1))

    assert write_expression(expression) == "W - (-0.5)"
