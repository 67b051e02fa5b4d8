"""Presets stand for the equations of their table; what the spec says of a parameter wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lightning_tying.errors import SpecError
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.expand_presets import expand_presets
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.presets import PRESETS
from lightning_tying.spec.schema import Equation

GOLDEN = Path(__file__).parents[2] / "golden" / "presets.txt"
OVER = "layers.{l}.{name*}"
CASES: dict[str, dict[str, Any]] = {
    "albert": {"groups": 2},
    "cycle": {"M": 3},
    "sequence": {"M": 3},
    "cycle_rev": {"M": 3},
    "middle_cycle": {"M": 3},
    "middle_sequence": {"M": "K"},
    "sandwich": {},
    "relaxed": {"M": 3, "rank": 8},
    "lora": {"rank": "min(8, d0)"},
    "vera": {"rank": 4, "seed": 1},
    "templates": {"k": 4},
    "basis": {"group": 2, "rank": 16},
    "hashed": {"ratio": 8, "seed": 3},
    "intrinsic": {"size": 100, "kind": "sparse"},
}


def expand(*presets: dict[str, Any], **more: Any) -> Any:
    entries = [{"preset": preset} for preset in presets]
    return expand_presets(load_spec({"let": {"K": 3}, "share": entries, **more}))


def test_every_preset_has_a_case() -> None:
    assert list(CASES) == list(PRESETS)


def test_golden(request: pytest.FixtureRequest) -> None:
    written = [{"name": name, "over": OVER, **arguments} for name, arguments in CASES.items()]
    told = "\n".join(f"# {json.dumps(preset)}\n{dump_spec(expand(preset))}" for preset in written)
    if request.config.getoption("--write-golden"):
        GOLDEN.write_text(told, encoding="utf-8")

    assert told == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_an_expansion_can_be_read(name: str) -> None:
    content = expand({"name": name, "over": OVER, **CASES[name]})

    assert dump_spec(load_spec(dump_spec(content))) == dump_spec(content)


def test_a_spec_without_presets_is_passed_through() -> None:
    spec = load_spec({"share": ["a.weight = W"]})

    assert expand_presets(spec) is spec


def test_without_captures_the_name_is_bare() -> None:
    (equation,) = expand({"name": "templates", "over": "a.b.weight", "k": 2, "as": "T"}).entries

    assert str(equation.value) == "mix(T, 2)"


def test_options_hold_for_all_equations_and_the_place_is_kept() -> None:
    preset = {"name": "relaxed", "over": OVER, "M": 2, "rank": 4, "as": "X"}
    entry = {"preset": preset, "where": "'norm' in name or ndim > 2", "except": "layers.0.**"}
    spec = load_spec({"share": ["embed.weight = E", entry]})

    _, big, small = expand_presets(spec).entries

    assert isinstance(big, Equation) and isinstance(small, Equation)
    assert str(big.where) == "('norm' in name or ndim > 2) and ndim >= 2"
    assert str(small.where) == "('norm' in name or ndim > 2) and ndim < 2"
    assert [pattern.text for pattern in (*big.excluded, *small.excluded)] == ["layers.0.**"] * 2
    assert big.location == small.location == spec.entries[1].location
    assert not big.alone and not small.alone


def test_what_the_spec_says_of_a_parameter_wins() -> None:
    preset = {"name": "lora", "over": OVER, "rank": 4, "as": "X"}

    kept = expand(preset, parameters={"X": {"lr": 0.5}}).parameters["X"]
    assert (kept.frozen, kept.lr) == (True, 0.5)
    assert expand(preset, parameters={"X": {"frozen": False}}).parameters["X"].frozen is False
    assert expand(preset, parameters={"X": {}}).parameters["X"].frozen is None
    assert expand(preset).parameters["X"].frozen is True


@pytest.mark.parametrize(
    ("preset", "code"),
    [
        ({"name": "lora", "rank": "min(8, in)"}, "52"),
        ({"name": "cycle", "M": "layer"}, "46"),
        ({"name": "cycle", "M": [3]}, "7"),
        ({"name": "intrinsic", "size": 10, "kind": 3}, "7"),
        ({"name": "albert", "as": "name"}, "53"),
        ({"name": "albert", "as": "K"}, "53"),
    ],
)
def test_arguments_are_checked_when_the_spec_is_read(preset: dict[str, Any], code: str) -> None:
    with pytest.raises(SpecError) as caught:
        expand({"over": OVER, **preset})

    assert [problem.code for problem in caught.value.problems] == [code]


def test_the_default_name_of_two_presets_is_told_twice() -> None:
    cycle = {"name": "cycle", "over": OVER, "M": 3}

    with pytest.raises(SpecError, match="Two presets are called `cycle`"):
        expand(cycle, cycle)
    with pytest.raises(SpecError, match="Two presets are called `cycle_`"):
        expand(cycle, {**cycle, "as": "cycle_"})
