"""Random specs for a random module: most of them right, and the same with one thing or more broken."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import strategies as st

from tests.property.strategies_modules import Recipe, shapes_of
from tests.property.strategies_values import INITS, Writer

GRADS = ["mean", "owner", "stop", "sum", {"scale": 0.5}, {"scale": "-1 / 3"}]
STACK = [
    ("{path}.blocks.{{l}}.{{m:q|k}}.weight", (4, 4), ["", "[m]", "[l]", "[m, l % 2]", "[cycle_rev(l, 2)]", "[site]"]),
    ("{path}.blocks.{{l}}.up.weight", (6, 4), ["", "[l // 2]", "[sequence(l, 2)]", "[middle_cycle(l, 1)]", "[K * l]"]),
    ("{path}.blocks.{{l:int}}.norm.{{name}}", (4,), ["", "[name]", "[l, name]", "[hash(l, name) % 2]", "[order[l]]"]),
]
PRESETS = [
    {"name": "albert"}, {"name": "albert", "groups": 2}, {"name": "cycle", "M": 2}, {"name": "sequence", "M": 2},
    {"name": "cycle_rev", "M": 2}, {"name": "middle_cycle", "M": 1}, {"name": "middle_sequence", "M": 1},
    {"name": "sandwich"}, {"name": "relaxed", "M": 2, "rank": 2}, {"name": "lora", "rank": 2},
    {"name": "vera", "rank": 2}, {"name": "templates", "k": 2}, {"name": "basis", "group": 2, "rank": 2},
    {"name": "hashed", "ratio": 3}, {"name": "intrinsic", "size": 5},
    {"name": "intrinsic", "size": 3, "kind": "sparse"},
    {"name": "intrinsic", "size": 3, "kind": "fastfood"},
]  # fmt: skip


@st.composite
def specs(draw: st.DrawFn, recipe: Recipe) -> dict[str, Any]:
    """A spec that is meant to be right for the recipe's module."""
    shapes = shapes_of(recipe.kinds, recipe.twice)
    writer = Writer(draw)
    entries: list[dict[str, Any]] = []
    spec: dict[str, Any] = {"version": 1, "let": {"K": draw(st.integers(1, 3)), "order": [1, 0, 1]}}
    stacks = [f"parts.{place}" for place, kind in enumerate(recipe.kinds) if kind == "stack"]
    taken = "{none}"
    if stacks and draw(st.integers(0, 2)):
        taken = draw(st.sampled_from(stacks))
        entries += _stack_entries(draw, writer, taken)
    free = defaultdict(list)
    for site, shape in shapes.items():
        if not site.startswith((f"{taken}.", "again.")):
            free[shape].append(site)
    for shape in (
        draw(st.lists(st.sampled_from(sorted(free)), min_size=0 if entries else 1, max_size=3, unique=True))
        if free
        else []
    ):
        sites = draw(st.lists(st.sampled_from(free[shape]), min_size=1, max_size=4, unique=True))
        entries.append(_list_entry(draw, writer, sites, shape))
    if draw(st.integers(0, 5)) == 5:
        entries.append(_rest_entry(draw, writer, entries, taken))
    if draw(st.integers(0, 5)) == 5 and writer.plain:
        entries.append(_penalty(draw, writer, shapes))
    spec["share"] = draw(st.permutations(entries))
    spec["parameters"] = _policies(draw, writer)
    return spec


def _stack_entries(draw: st.DrawFn, writer: Writer, path: str) -> list[dict[str, Any]]:
    if draw(st.booleans()):
        preset = dict(draw(st.sampled_from(PRESETS)))
        matrices = preset["name"] in ("lora", "vera")
        over = [f"{path}.blocks.{{l}}.{{name*}}"] if not matrices else [f"{path}.blocks.{{l}}.{{name*}}.weight"]
        entry: dict[str, Any] = {"preset": {**preset, "over": over[0], "as": f"pre{draw(st.integers(0, 9))}"}}
        if preset["name"] == "basis" or draw(st.integers(0, 3)) == 3:
            entry["where"] = "ndim == 2"
        if draw(st.integers(0, 3)) == 3:
            entry["except"] = f"{path}.blocks.1.norm.bias"
        return [entry]
    entries = []
    for pattern, shape, indices in draw(st.lists(st.sampled_from(STACK), min_size=1, unique_by=lambda one: one[0])):
        writer.indices = indices
        sites = [pattern.format(path=path)]
        entries.append(_options(draw, writer, {"sites": sites, "equals": writer.value(shape, draw(st.integers(0, 3)))}))
    writer.indices = [""]
    return entries


def _list_entry(draw, writer: Writer, sites: list[str], shape: tuple[int, ...]) -> dict[str, Any]:
    if len(sites) > 1 and draw(st.integers(0, 3)) == 3:
        entry: dict[str, Any] = {"tie": sites}
        if draw(st.booleans()):
            entry["name"] = writer.name(shape)
        if draw(st.integers(0, 3)) == 3:
            entry["init"] = draw(st.sampled_from(INITS[:9]))
        return entry
    return _options(draw, writer, {"sites": sites, "equals": writer.value(shape, draw(st.integers(0, 3)))})


def _rest_entry(draw, writer: Writer, entries: list[dict[str, Any]], taken: str) -> dict[str, Any]:
    """Everything that no other entry binds, read alike whatever its shape."""
    writer.indices = ["[site]", "[name]"]
    value = writer.anything(draw(st.integers(0, 2)))
    writer.indices = [""]
    bound = [site for entry in entries for site in entry.get("sites", entry.get("tie", [])) if "{" not in site]
    excluded = [*bound, "again.**"] + ([f"{taken}.**"] if taken != "{none}" else [])
    return {"sites": "parts.{name*}", "equals": value, "except": excluded}


def _options(draw, writer: Writer, entry: dict[str, Any]) -> dict[str, Any]:
    if draw(st.integers(0, 3)) == 3:
        families = [word for word in "WVUPQRSTXYZ" if word in entry["equals"].replace("(", " ").split()]
        init: object = draw(st.sampled_from(INITS))
        if families and draw(st.booleans()):
            init = {draw(st.sampled_from(families)): init}
        entry["init"] = init
    if draw(st.integers(0, 3)) == 3:
        entry["grad"] = draw(st.sampled_from(GRADS))
    if draw(st.integers(0, 3)) == 3:
        entry["keep"] = True
    if draw(st.integers(0, 5)) == 5:
        entry["where"] = draw(st.sampled_from(["ndim == 2", "numel > 2", "'weight' in site", "d0 <= 6 and ndim < 4"]))
    return entry


def _penalty(draw, writer: Writer, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    family = draw(st.sampled_from(sorted(writer.plain)))
    sites = [site for site, shape in shapes.items() if shape == writer.plain[family]] or sorted(shapes)
    value = draw(st.sampled_from(["{}", "stop({})", "2 * {}", "tanh({})"])).format(family)
    return {
        "sites": [draw(st.sampled_from(sites))],
        "equals": value,
        "penalty": draw(st.sampled_from([0, 0.1, "K / 2"])),
    }


def _policies(draw, writer: Writer) -> dict[str, dict[str, Any]]:
    policies = {family: dict(policy) for family, policy in writer.policies.items()}
    for family in writer.plain:
        if draw(st.integers(0, 5)) == 5:
            policy = policies.setdefault(family, {})
            key = draw(st.sampled_from(["lr", "weight_decay", "frozen", "init", "dtype"]))
            policy[key] = {"lr": 0.5, "weight_decay": 0, "frozen": draw(st.booleans()),
                           "init": draw(st.sampled_from(INITS)), "dtype": "float64"}[key]  # fmt: skip
    return policies
