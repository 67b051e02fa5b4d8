"""Random specs, right and broken, against random modules: a refusal that changes nothing, or all laws hold."""

from __future__ import annotations

import os
import warnings

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.loader import load_spec
from tests.property import fuzz_laws as laws
from tests.property.strategies_broken import broken_specs
from tests.property.strategies_modules import recipes
from tests.property.strategies_specs import specs

# One chunk in the suite; `make fuzz` runs many, each with a seed of its own, so that pytest's dots show how far it is.
CHUNKS = range(int(os.environ.get("FUZZ_CHUNKS", "1")))
chunked = pytest.mark.parametrize("chunk", CHUNKS)
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(autouse=True)
def warnings_are_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@st.composite
def cases(draw, *, exact=False, odd=True):
    recipe = draw(recipes(exact=exact, odd=odd))
    return recipe, draw(specs(recipe))


@st.composite
def broken_cases(draw):
    recipe = draw(recipes())
    return recipe, draw(broken_specs(recipe))


def tied(recipe, spec):
    module = recipe.build()
    plan = laws.try_tie(module, spec)
    event("refused" if plan is None else "tied")
    return module, plan


@chunked
@settings(max_examples=500, deadline=None)
@given(cases(exact=True))
def test_values_and_gradients(chunk, case):
    recipe, spec = case
    module, plan = tied(recipe, spec)
    if plan is not None and "fastfood" not in str(spec):
        laws.check_values(recipe, module, plan)


@chunked
@settings(max_examples=400, deadline=None)
@given(cases())
def test_names_order_and_discovery(chunk, case):
    recipe, spec = case
    module, plan = tied(recipe, spec)
    if plan is not None:
        laws.check_names(recipe, spec, module, plan)
        laws.check_discovery(recipe, module, plan)


@chunked
@settings(max_examples=300, deadline=None)
@given(cases(), st.lists(st.sampled_from(sorted(laws.OPERATIONS)), max_size=2))
def test_savings_and_life(chunk, case, operations):
    recipe, spec = case
    module, plan = tied(recipe, spec)
    if plan is not None and recipe.device == "cpu":
        laws.check_savings(recipe, spec, module, plan)
        if recipe.exact:
            laws.check_life(module, plan, operations)


@chunked
@settings(max_examples=300, deadline=None)
@given(cases(exact=True), st.integers(0, 20), st.booleans())
def test_checkpoint_and_untie(chunk, case, place, keepers_only):
    recipe, spec = case
    module, plan = tied(recipe, spec)
    if plan is not None:
        laws.check_checkpoint(recipe, spec, module, plan, keepers_only)
        laws.check_untie(module, plan, place)


@chunked
@settings(max_examples=500, deadline=None)
@given(broken_cases(), st.booleans())
def test_broken_specs(chunk, case, strict):
    recipe, spec = case
    module = recipe.build()
    plan = laws.try_tie(module, spec, strict=strict)
    event("refused" if plan is None else "tied")
    if plan is not None:
        assert load_spec(dump_spec(plan.spec)) == plan.spec
        laws.verify(module)
        if recipe.device == "cpu":
            laws.output(module)
        laws.untie(module)


@chunked
@settings(max_examples=100, deadline=None)
@given(cases(exact=True), st.data())
def test_what_is_tied_already_stays_as_it_is(chunk, case, data):
    recipe, spec = case
    module, plan = tied(recipe, spec)
    if plan is not None:
        other = data.draw(broken_specs(recipe))
        if laws.try_tie(module, other) is not None:
            assert laws.get_plan(module) is plan
        laws.verify(module)
