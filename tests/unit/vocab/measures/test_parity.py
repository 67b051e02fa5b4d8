"""Premiums and Gini: equal to their definitions, written out."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.vocab.measures.parity import gini, is_parallel, premiums
from tests.unit.vocab.measures.samples import MESSAGES, characters


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12), st.floats(0.1, 10))
def test_gini_is_its_definition_and_has_no_unit(costs: list[float], unit: float) -> None:
    mean = sum(costs) / len(costs)
    told = sum(abs(one - other) for one, other in product(costs, costs)) / (2 * len(costs) ** 2 * mean)
    found = gini(costs)
    assert found == pytest.approx(told, abs=1e-12)
    assert gini([unit * cost for cost in costs]) == pytest.approx(found, abs=1e-9)


def test_gini_of_equal_and_of_one_payer() -> None:
    assert gini([3.0, 3.0, 3.0]) == 0 and gini([]) is None and gini([0.0, 0.0]) is None
    assert gini([0.0, 0.0, 0.0, 8.0]) == pytest.approx(0.75)  # 1 - 1/n


def test_premiums_compare_the_messages_that_both_have() -> None:
    parallel = {"en": {"a": "1234", "b": "12"}, "de": {"a": "12345678", "c": "1"}, "fr": {"d": "12"}}
    assert premiums(characters, parallel, "en") == {"en": 1.0, "de": 2.0}


def test_keys_that_are_the_texts_are_no_translations() -> None:
    lines = {language: {text: text for text in texts.values()} for language, texts in MESSAGES.items()}
    assert is_parallel(MESSAGES) and not is_parallel(lines) and not is_parallel({})
    gettext = {"en": lines["en"], "de": dict(zip(lines["en"], MESSAGES["de"].values(), strict=False))}
    assert is_parallel(gettext)
