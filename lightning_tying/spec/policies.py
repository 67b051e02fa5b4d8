"""The section `parameters` of a file in, a `Policy` for each name out."""

from __future__ import annotations

import re
from typing import Literal

from lightning_tying.errors import Location
from lightning_tying.spec.fields import (
    check_options,
    read_factor,
    read_flag,
    read_scalar_field,
    read_text,
    show,
)
from lightning_tying.spec.findings import Findings
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.inits import read_init
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import check_name
from lightning_tying.spec.nodes import Init, Policy
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree, kind_of

POLICIES = ("shape", "init", "lr", "weight_decay", "frozen", "dtype")
DTYPES = ("float32", "bfloat16", "float16", "float64")


def read_policies(tree: Tree | None, found: Findings) -> dict[str, Policy]:
    """Read `parameters`; whether anything reads the names is checked with the whole spec."""
    if tree is None or (isinstance(tree, Leaf) and tree.value is None):
        return {}
    if not isinstance(tree, Fields):
        found.add(tree.location, "7", f"`parameters` is a mapping of names, and this is {kind_of(tree)}.")
        return {}
    policies: dict[str, Policy] = {}
    for field in tree.fields:
        place = Location(field.location.source, field.location.line, f"parameters.{field.key}")
        with found.at(place):
            check_parameter_key(field.key)
        policies[field.key] = _read_policy(field.key, field.value, found, place)
    return policies


def check_parameter_key(key: str) -> None:
    """A shared parameter, a function or an own parameter of one: `W`, `low_rank2`, `low_rank.A`.

    Raises:
        Mistake: 22.
    """
    function = key.rsplit(".", 1)[0]
    if re.sub(r"[0-9]+$", "", function) in FUNCTIONS or "." in key:
        return
    check_name(key)


def _read_policy(name: str, tree: Tree, found: Findings, place: Location) -> Policy:
    if not isinstance(tree, Fields):
        found.add(place, "7", f"The policy of `{name}` is a mapping, such as {{lr: 0.5}}, and this is {kind_of(tree)}.")
        return Policy(location=place)
    check_options("A policy", tree, POLICIES, found, place)
    given = {field.key: field.value for field in tree.fields}
    shape: tuple[Scalar | None, ...] | None = None
    init: Init | None = None
    frozen: bool | None = None
    dtype: Literal["float32", "bfloat16", "float16", "float64"] | None = None
    factors = {"lr": 1.0, "weight_decay": 1.0}
    places = {key: Location(place.source, part.location.line, place.path) for key, part in given.items()}
    if "shape" in given:
        shape = _read_shape(given["shape"], found, places["shape"])
    with found.at(places.get("init", place)):
        init = read_init(read_text(given["init"], "init")) if "init" in given else None
    for key in factors:
        with found.at(places.get(key, place)):
            factors[key] = read_factor(given[key], key) if key in given else 1.0
    with found.at(places.get("frozen", place)):
        frozen = read_flag(given["frozen"], "frozen") if "frozen" in given else None
    with found.at(places.get("dtype", place)):
        dtype = _read_dtype(given["dtype"]) if "dtype" in given else None
    return Policy(shape, init, factors["lr"], factors["weight_decay"], frozen, dtype, place)


def _read_shape(tree: Tree, found: Findings, place: Location) -> tuple[Scalar | None, ...] | None:
    if not isinstance(tree, Items):
        found.add(place, "7", f"`shape` is a list of sizes, such as [d0, 128], and this is {kind_of(tree)}.")
        return None
    sizes: list[Scalar | None] = []
    for item in tree.items:
        with found.at(place):
            is_open = isinstance(item, Leaf) and item.value == "_"
            size = None if is_open else read_scalar_field(item, "shape")
            if isinstance(item, Leaf) and isinstance(item.value, (float, bool)):
                raise Mistake("84", f"A size in `shape` is a whole number, not {show(item)}.")
            if isinstance(item, Leaf) and isinstance(item.value, int) and item.value < 0:
                raise Mistake("84", f"A size in `shape` is 0 or more, not {show(item)}.")
            sizes.append(size)
    return tuple(sizes)


def _read_dtype(tree: Tree) -> Literal["float32", "bfloat16", "float16", "float64"]:
    text = read_text(tree, "dtype")
    if text not in DTYPES:
        raise Mistake("84", f"`dtype` is float32, bfloat16, float16 or float64, not {text}.")
    return text
