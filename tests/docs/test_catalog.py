"""The tables of functions and presets in docs/reference/language.md are those of the code."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from lightning_tying.algebra.catalogue import CATALOGUE
from lightning_tying.spec.expand_presets import expand_presets
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.presets import PRESETS
from lightning_tying.spec.schema import Equation
from tests.docs.reading import LANGUAGE, read_rows, read_section

FUNCTION_ROWS = [row for row in read_rows(read_section(LANGUAGE, "6. The catalogue")) if row[0].startswith("`")]
PRESET_ROWS = [row for row in read_rows(read_section(LANGUAGE, "10. Presets")) if row[0].startswith("`")]
CALL = re.compile(r"`([a-z_0-9]+)\(([^`]*)\)`")
ARGUMENTS = {"M": 2, "rank": 2, "k": 3, "group": 2, "ratio": 4, "size": 5}


def written_calls(rows: list[list[str]]) -> dict[str, str]:
    return {name: inside for row in rows for name, inside in CALL.findall(row[0])}


def test_every_function_is_in_the_table_as_it_is_called() -> None:
    assert written_calls(FUNCTION_ROWS) == {name: signature.written for name, signature in FUNCTIONS.items()}
    assert FUNCTIONS.keys() <= CATALOGUE.keys()


@pytest.mark.parametrize("name", [name for name, signature in FUNCTIONS.items() if signature.brings])
def test_what_a_function_brings_is_in_its_row(name: str) -> None:
    (row,) = [row for row in FUNCTION_ROWS if f"`{name}(" in row[0]]
    defaults = {own.name: own.init for own in CATALOGUE[name].brings}
    assert tuple(defaults) == FUNCTIONS[name].brings
    for own in defaults:
        assert re.search(rf"(^|[ ,;]){own}: \[", row[2]), f"{own} is not in {row[2]!r}"


def test_every_preset_is_in_the_table_with_its_arguments() -> None:
    written = written_calls(PRESET_ROWS)
    assert written.keys() == PRESETS.keys()
    for name, inside in written.items():
        arguments = [part.partition("=")[0] for part in inside.split(", ") if part]
        assert arguments == [*PRESETS[name].needed, *PRESETS[name].optional], name


def put_in(text: str, values: Mapping[str, object]) -> str:
    """Words that stand for something are replaced, names of functions and of arguments are not."""
    return re.sub(r"(?<!')\b(\w+)\b(?!\(|=)", lambda found: str(values.get(found[1], found[1])), text)


@pytest.mark.parametrize("row", PRESET_ROWS, ids=lambda row: row[0])
def test_a_preset_stands_for_what_its_row_says(row: list[str]) -> None:
    """The equations of the table with `c` = `name` and numbers in the place of arguments, as the package reads them."""
    names = [name for name, _ in CALL.findall(row[0])]
    for name, text in zip(names, re.findall(r"`O = ([^`]*)`", row[1]), strict=False):
        given = {key: value for key, value in ARGUMENTS.items() if key in PRESETS[name].needed}
        preset = {"name": name, "over": "layers.{l}.{name*}", "as": "X", **given}
        first = expand_presets(load_spec({"share": [{"preset": preset}]})).entries[0]
        assert isinstance(first, Equation)
        values = {"c": "name", "groups": 1, "seed": 0, "kind": "'dense'", **given}
        assert first.value.text == put_in(text, values)
