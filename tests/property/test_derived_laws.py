"""The laws of tying where sites are computed: random models, random partitions, random functions."""

from __future__ import annotations

import copy
import random
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.api import get_plan, make_plan, tie, untie, verify
from lightning_tying.errors import SharingWarning
from lightning_tying.lowering.derive import find_values
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state_dicts.checkpoint import drop_aliases
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.loader import load_spec
from tests.property.test_tying_laws import OPERATIONS, cases, make

FEW = settings(max_examples=15, deadline=None)

# A value of the site's shape, and the same written in plain torch for the parameters of one site by slot.
VALUES = {
    "{0}": lambda held: held["W"],
    "2 * {0}": lambda held: 2 * held["W"],
    "-{0} + {0}_v / 4": lambda held: -held["W"] + held["V"] / 4,
    "{0} * {0}_v": lambda held: held["W"] * held["V"],
    "tanh({0})": lambda held: held["W"].tanh(),
    "flip({0}, 0)": lambda held: held["W"].flip(0),
    "roll({0}, 1)": lambda held: held["W"].roll(1, 0),
    "scale({0})": lambda held: held["W"] * held["s"],
    "mix({0}, 2)": lambda held: torch.einsum("k,k...->...", held["a"], held["W"]),
    "{0} + scale({0}_v, 0)": lambda held: held["W"] + torch.einsum("i,i...->i...", held["s"], held["V"]),
}


@pytest.fixture(autouse=True)
def far_values_are_meant():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        yield


@st.composite
def derived_cases(draw):
    kinds, groups = draw(cases())
    return kinds, groups, [draw(st.sampled_from(sorted(VALUES))) for _ in groups]


def spec_of(groups, values):
    return {
        "share": [
            {"sites": members, "equals": value.format(f"P{i}")}
            for i, (members, value) in enumerate(zip(groups, values, strict=True))
        ]
    }


def by_role(value):
    """The parameters of one site's slots: W, V, and the last part of what a function brings."""
    roles = {}
    for slot, parameter in zip(value.slots, value.parameters_read(), strict=True):
        family = slot.parameter.family
        roles[family.rpartition(".")[2] if "." in family else "V" if family.endswith("_v") else "W"] = parameter
    return roles


def sample():
    return torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)


@FEW
@given(derived_cases(), st.randoms())
def test_twice_is_once_and_order_does_not_matter(case, shuffler: random.Random):
    kinds, groups, values = case
    if not groups:
        return
    spec = spec_of(groups, values)
    one, other = make(kinds), make(kinds)
    plan = tie(one, spec)
    before = {name: id(p) for name, p in one.named_parameters(remove_duplicate=False)}
    shuffled = {"share": shuffler.sample(spec["share"], len(spec["share"]))}
    assert tie(one, spec) is plan and tie(one, shuffled) is plan and tie(one, plan) is plan
    assert {name: id(p) for name, p in one.named_parameters(remove_duplicate=False)} == before
    assert tie(other, shuffled).graph == plan.graph == make_plan(make(kinds), spec).graph
    assert Plan.from_dict(plan.to_dict()) == plan and load_spec(dump_spec(plan.spec)) == plan.spec
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert sum(p.numel() for p in one.parameters()) == sum(group.meta.numel for group in plan.graph.groups) + sum(
        meta.numel for _, meta in plan.graph.private
    )


@settings(max_examples=60, deadline=None)
@given(derived_cases())
def test_values_and_gradients(case):
    kinds, groups, values = case
    if not groups:
        return
    tied = make(kinds)
    plain = copy.deepcopy(tied)
    plan = tie(tied, spec_of(groups, values))
    template = {member: value for members, value in zip(groups, values, strict=True) for member in members}
    computed = {}
    for derived, _, value in find_values(plan.graph, tied):
        computed[derived.site] = VALUES[template[derived.site]](by_role(value))
    aliases = [use.site for _, use in plan.graph.uses() if not use.slot]
    with torch.no_grad():
        for site in aliases:
            computed[site] = tied.get_parameter(site)
        for site, value in computed.items():
            plain.get_parameter(site).copy_(value)
    x = sample()
    ours, theirs = tied(x), plain(x)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    ours.backward()
    theirs.backward()
    shared = list(dict.fromkeys(p for p in tied.parameters() if p.grad is not None))
    outputs = list(computed.values())
    grads = [plain.get_parameter(site).grad for site in computed]
    bound = {id(tied.get_parameter(place)) for place in plan.places}
    wanted = torch.autograd.grad(outputs, [p for p in shared if id(p) in bound], grads, allow_unused=True)
    for parameter, expected in zip([p for p in shared if id(p) in bound], wanted, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-8, atol=1e-10)


@FEW
@given(derived_cases(), st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=4))
def test_nothing_that_torch_does_loses_a_slot(case, names):
    kinds, groups, values = case
    if not groups:
        return
    module = make(kinds)
    plan = tie(module, spec_of(groups, values))
    for name in names:
        if "swap" in name and {"lstm", "gru"} & set(kinds):
            continue  # torch cannot swap a parameter that an RNN has a weak reference to, tied or not
        module = OPERATIONS[name](module)
        verify(module)
    module.to("meta").to_empty(device="cpu")
    verify(module)
    assert get_plan(module) == plan


@FEW
@given(derived_cases())
def test_untie_leaves_the_values_and_nothing_else(case):
    kinds, groups, values = case
    if not groups:
        return
    module = make(kinds)
    plain = [(type(part), sorted(vars(part)), list(part._parameters)) for part in module.modules()]
    tie(module, spec_of(groups, values))
    output = module(sample())
    untie(module)
    torch.testing.assert_close(module(sample()), output, rtol=1e-12, atol=1e-12)
    assert [(type(part), sorted(vars(part)), list(part._parameters)) for part in module.modules()] == plain
    assert len(list(module.parameters())) == len(list(module.named_parameters(remove_duplicate=False)))


@FEW
@given(derived_cases(), st.booleans())
def test_a_state_dict_loads_into_a_model_tied_alike(case, keepers_only):
    kinds, groups, values = case
    if not groups:
        return
    spec = spec_of(groups, values)
    module, fresh = make(kinds), make(kinds)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.normal_()
    tie(module, spec)
    tie(fresh, spec)
    state = module.state_dict()
    fresh.load_state_dict(drop_aliases(state, get_plan(module)) if keepers_only else state)
    assert torch.equal(fresh(sample()), module(sample()))
