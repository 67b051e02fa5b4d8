"""The laws of weights: saved and loaded they are the same, dropped and filled too, and a policy settles once."""

from __future__ import annotations

import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.api import tie, verify
from lightning_tying.errors import ConflictError
from lightning_tying.lowering.state_dicts.checkpoint import drop_aliases, fill_aliases, index_keys
from lightning_tying.lowering.state_dicts.conflicts import average, find_conflicts
from lightning_tying.lowering.state_dicts.untied_state import untied_state_dict
from tests.property.test_derived_laws import derived_cases, sample, spec_of
from tests.property.test_tying_laws import make

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
SOME = settings(max_examples=25, deadline=None)


def noisy(module):
    """Other values in every parameter, so that a load has something to do."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.rand_like(parameter))
    return module


def tied(case, **options):
    kinds, groups, values = case
    module = make(kinds)
    return module, tie(module, spec_of(groups, values), **options)


def check_equal(one, other):
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@SOME
@given(derived_cases(), st.booleans(), st.booleans())
def test_saved_and_loaded_is_the_same(case, small, assign):
    if not case[1]:
        return
    one, plan = tied(case)
    state = noisy(one).state_dict()
    file = io.BytesIO()
    torch.save(drop_aliases(state, plan) if small else state, file)
    file.seek(0)
    other = noisy(tied(case)[0])
    other.load_state_dict(torch.load(file, weights_only=True), assign=assign)
    verify(other)
    check_equal(other.state_dict(), state)


@SOME
@given(derived_cases(), st.sampled_from(["", "network."]))
def test_drop_then_fill_is_the_identity(case, prefix):
    if not case[1]:
        return
    module, plan = tied(case)
    state = {prefix + key: value for key, value in module.state_dict().items()}
    small = drop_aliases(state, plan, prefix)
    assert len(small) == len({id(p) for p in module.parameters()}) + len(list(module.named_buffers()))
    check_equal(drop_aliases(small, plan, prefix), small)
    fill_aliases(small, plan, prefix)
    check_equal(small, state)
    assert all(small[prefix + link.site] is small[prefix + link.owner] for link in plan.links)


@SOME
@given(derived_cases(), st.sampled_from(["owner", "mean"]), st.data())
def test_a_policy_settles_once_and_touches_nothing_else(case, policy, data):
    if not case[1]:
        return
    module, plan = tied(case, on_conflict=policy)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    settled = dict(state)
    fill_aliases(settled, plan, on_conflict=policy)
    assert all(settled[key] is state[key] for key in state)  # where all agree, nothing is to settle
    place = data.draw(st.sampled_from(plan.places))
    state[place] += 1.0
    conflicts = find_conflicts(state, index_keys(state, ""), plan)
    settled = dict(state)
    fill_aliases(settled, plan, on_conflict=policy)
    assert not find_conflicts(settled, index_keys(settled, ""), plan)
    again = dict(settled)
    fill_aliases(again, plan, on_conflict=policy)
    assert all(again[key] is settled[key] for key in settled)
    touched = {name for conflict in conflicts for name in conflict.places}
    assert all(settled[key] is state[key] for key in state if key not in touched)
    for conflict in conflicts:
        values = [state[name] for name in conflict.places]
        assert torch.equal(settled[conflict.places[0]], values[0] if policy == "owner" else average(values))
    module.load_state_dict(state)
    verify(module)
    check_equal(module.state_dict(), settled)


@SOME
@given(derived_cases(), st.data())
def test_without_a_policy_a_conflict_changes_nothing(case, data):
    if not case[1]:
        return
    module, plan = tied(case)
    state = {key: value.clone() for key, value in module.state_dict().items()}
    place = data.draw(st.sampled_from(plan.places))
    state[place] += 1.0
    if not find_conflicts(state, index_keys(state, ""), plan):
        return  # of a parameter with one use
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(ConflictError):
        module.load_state_dict(state)
    check_equal(module.state_dict(), before)


@SOME
@given(st.integers(1, 6), st.sampled_from([torch.float32, torch.float16, torch.bfloat16]))
def test_the_mean_of_equals_is_the_value(count, dtype):
    value = torch.randn(7).to(dtype)
    assert torch.equal(average([value] * count), value)


@SOME
@given(derived_cases())
def test_weights_for_the_untied_model_compute_the_same(case):
    if not case[1]:
        return
    module, _ = tied(case)
    plain = make(case[0])
    plain.load_state_dict(untied_state_dict(noisy(module)))
    torch.testing.assert_close(plain(sample()), module(sample()), rtol=1e-12, atol=1e-12)
