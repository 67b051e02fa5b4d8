"""What `plan --explain` says of presets, equations and initial values."""

from __future__ import annotations

from typing import Any

import pytest

from lightning_tying.api import make_plan
from lightning_tying.commands.explain_plan import explain_plan, name_primitives
from lightning_tying.commands.plan import render
from lightning_tying.lowering.plan import Plan
from tests import trees


def plan(*entries: Any, **more: Any) -> Plan:
    module = trees.tree(trees.stack(4, 8, 16) | trees.embedding_and_head(10, 8))
    return make_plan(module, {"share": [*entries], **more})


def test_presets_are_written_out_and_counted() -> None:
    relaxed = {"preset": {"name": "relaxed", "over": "layers.{l}.{name*}", "M": 2, "rank": 2, "as": "R"}}
    text = explain_plan(plan(relaxed, {"tie": ["embed.weight", "head.weight"]}))

    blocks = dict(block.split("\n", 1) for block in text.split("\n\n"))

    assert list(blocks) == ["spec", "equations", "initial values", "steps"]
    assert 'equals: "R[name, cycle(l, 2)] + low_rank(min(2, d0, numel // d0))"' in blocks["spec"]
    assert blocks["equations"].splitlines() == [
        "    layers.{l}.{name*} = R[name, cycle(l, 2)] + low_rank(min(2, d0, numel // d0))  where ndim >= 2",
        "        24 sites: computed by add, einsum, ref",
        "    layers.{l}.{name*} = R[name, cycle(l, 2)]  where ndim < 2",
        "        8 sites: aliases",
        "    tie embed.weight, head.weight",
        "        2 sites: aliases",
    ]
    assert "    R[…] (16)  mean, from 2 sites" in blocks["initial values"].splitlines()
    assert "    low_rank.A[…] (24)  svd, from 1 site" in blocks["initial values"].splitlines()
    assert "head.weight -> embed.weight" in blocks["steps"]


def test_a_penalty_binds_nothing() -> None:
    text = explain_plan(
        plan("embed.weight = E", {"sites": "head.weight", "equals": "E", "penalty": 0.1}, "layers.0.{n*} = 2 * V[n]")
    )

    assert "        a penalty on 1 site; nothing is bound" in text.splitlines()
    assert "        8 sites: computed by map, ref" in text.splitlines()


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ("W + low_rank(2)", {"add", "einsum", "ref"}),
        ("tanh(W)", {"map", "ref"}),
        ("t(t(W))", {"gather", "ref"}),
        ("concat(W, V)", {"concat", "ref"}),
        ("W + project(z, kind='fastfood')", {"add", "einsum", "ref"}),
        ("mix(T, 2, softmax=True)", {"einsum", "map", "ref"}),
    ],
)
def test_the_primitives_of_a_value(value: str, made: set[str]) -> None:
    found = plan(f"embed.weight = {value}", **({"parameters": {"z": {"shape": [7]}}} if "z" in value else {}))

    (derived,) = found.graph.derived

    names = name_primitives(derived.expression)
    assert made <= set(names) <= made | {"gather", "concat", "einsum"} and len(set(names)) == len(names)


def test_how_drawn_values_are_told() -> None:
    found = plan("embed.weight = kron(X, Y)", "head.weight = mix(T, 2)", parameters={"X": {"shape": [5, 2]}})

    text = explain_plan(found)

    assert "drawn: normal, so that the variance of the first site is kept" in text
    assert "drawn: rows of an orthogonal matrix" in text


def test_without_explain_nothing_is_added() -> None:
    found = plan("layers.{l}.attn.q.weight = W + low_rank(2)")

    assert "steps" not in render(found, "text", explain=False)
    assert render(found, "text", explain=True).startswith(render(found, "text", explain=False))
