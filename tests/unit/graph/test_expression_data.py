"""Expressions go through JSON; broken content is a clear error."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

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
    name_slots,
)
from lightning_tying.errors import ConfigError, Location
from lightning_tying.graph.files.read_data import graph_from_data
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import (
    DerivedSite,
    GradientRule,
    ParameterPolicy,
    Penalty,
    SharingGroup,
    TensorMeta,
    Use,
)
from lightning_tying.lowering.plan_content import check_content
from lightning_tying.spec.schema import Init

SHAPE = (6, 4)
META = TensorMeta(SHAPE)
FILE = FileMap("maps/de.json", "ab" * 32, (6,), 5, bytes(range(48)))
W = Read(SHAPE, ParameterName("W", ("q", 2)))
DELTA = Call(SHAPE, "low_rank", (), (("r", 2),), (Own("A", ParameterName("low_rank.A", ("a",)), (2, 4)),), "a")
ROWS = Call(SHAPE, "rows", (Read((5, 4), ParameterName("T")),), (("map", FILE), ("block", 1)))
CELLS = Call(SHAPE, "gather", (Read((9,), ParameterName("P")),), (("map", ScalarMap("i0 % n", (("n", 9),))),))
EVERY_KIND = Sum(
    SHAPE,
    (
        W,
        Product(SHAPE, (Constant((), 0.5), DELTA)),
        MatrixProduct(SHAPE, Read((6, 3), ParameterName("L")), Read((3, 4), ParameterName("R"))),
        ROWS,
        CELLS,
        Call(SHAPE, "reshape", (W,), (("shape", (6, 4)), ("outside", None), ("sign", True))),
    ),
    (1, -1, 1, 1, 1, 1),
)


def make_graph(expression: Expression = EVERY_KIND) -> SharingGraph:
    location = Location("spec.yaml", 3, "share[0]")
    derived = tuple(DerivedSite(site, expression, META, site == "b", location) for site in ("a", "b"))
    groups = tuple(
        SharingGroup(
            slot.parameter,
            tuple(Use(one.site, GradientRule("scale", 0.25), slot.name, bare=False) for one in derived),
            META,
            ParameterPolicy(Init("variance"), slices=True),
        )
        for slot in name_slots(expression)
    )
    return SharingGraph(groups, derived=derived, penalties=(Penalty("c", W, 0.01, location),))


def write(graph: SharingGraph) -> dict[str, Any]:
    return json.loads(json.dumps(graph.to_dict()))


def test_every_kind_comes_back() -> None:
    graph = make_graph()

    again = graph_from_data(write(graph))

    assert again == graph
    assert again.derived[0].location == graph.derived[0].location
    check_content(again)


def test_a_file_is_written_once() -> None:
    assert len(write(make_graph())["maps"]) == 1


def broken(*path: str | int, value: object) -> dict[str, Any]:
    data = copy.deepcopy(write(make_graph()))
    place: Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return data


EXPRESSION = ("derived", 0, "expression")


@pytest.mark.parametrize(
    "data",
    [
        broken("version", value=1),
        broken("maps", value={}),
        broken("maps", 0, "content", value="not base64!"),
        broken("maps", 0, "count", value=-1),
        broken(*EXPRESSION, value=[]),
        broken(*EXPRESSION, "shape", value=["6", 4]),
        broken(*EXPRESSION, "shape", value=[True, 4]),
        broken(*EXPRESSION, "signs", value=[1]),
        broken(*EXPRESSION, "signs", value=[1, 2, 1, 1, 1, 1]),
        broken(*EXPRESSION, "sum", value=[]),
        broken(*EXPRESSION, "sum", 0, "read", "family", value=1),
        broken(*EXPRESSION, "sum", 0, "read", "index", value=[0.5]),
        broken(*EXPRESSION, "sum", 1, "product", 0, "number", value="0.5"),
        broken(*EXPRESSION, "sum", 1, "product", 1, "key", value=None),
        broken(*EXPRESSION, "sum", 2, "matmul", value=[{}]),
        broken(*EXPRESSION, "sum", 3, "arguments", value=[["map", {"file": 7}]]),
        broken(*EXPRESSION, "sum", 4, "arguments", value=[["map", {"scalar": "i0", "words": [["n", None]]}]]),
        broken(*EXPRESSION, "sum", 5, "arguments", value=["map"]),
    ],
)
def test_broken_content_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="sharing graph"):
        graph_from_data(data)


def test_an_endless_nesting_is_refused() -> None:
    nested: Any = {"number": 1, "shape": []}
    for _ in range(5000):
        nested = {"product": [nested], "shape": []}

    with pytest.raises(ConfigError):
        graph_from_data(broken(*EXPRESSION, value=nested) | {})


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (broken("groups", 0, "uses", 0, "slot", value="V"), "the slot W of a"),
        (broken("groups", 0, "uses", 0, "slot", value=3), "slot"),
        (broken("groups", 0, "uses", 0, "scale", value="1"), "scale"),
        (broken("groups", 0, "uses", 0, "grad", value="half"), "grad"),
        (broken("groups", 0, "uses", 0, "bare", value=0), "bare"),
        (broken("groups", 0, "policy", "slices", value=1), "slices"),
        (broken("groups", 0, "policy", "init", value="luck"), "init"),
        (broken("derived", 0, "keep", value="no"), "keep"),
        (broken("derived", 0, "site", value=4), "site"),
        (broken("derived", 0, "meta", "shape", value=[-1]), "shape"),
        (broken("penalties", 0, "weight", value=True), "weight"),
    ],
)
def test_types_are_checked(data: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError, match=place):
        check_content(graph_from_data(data))
