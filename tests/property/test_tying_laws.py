"""The laws of tying on random models with random partitions of their sites."""

from __future__ import annotations

import copy
import io
import json
import pickle
import random
import re
import zipfile
from collections import defaultdict
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize, prune

from lightning_tying.api import discover, get_plan, make_plan, report_savings, tie, untie, verify
from lightning_tying.errors import TieBroken, TyingError
from lightning_tying.lowering.plan import Alias, Plan
from lightning_tying.reports.reckoning.measured import measure_savings
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.loader import load_spec

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")  # W1, W2, W5
torch.set_num_threads(1)
FEW = settings(max_examples=20, deadline=None)
KINDS = {
    "linear": lambda: nn.Linear(4, 4),
    "embedding": lambda: nn.Embedding(4, 4),
    "lstm": lambda: nn.LSTM(4, 4, num_layers=2),
    "gru": lambda: nn.GRU(4, 4, bidirectional=True),
    "conv": lambda: nn.Conv1d(4, 4, 3, padding=1),
    "norm": lambda: nn.LayerNorm(4),
    "attention": lambda: nn.MultiheadAttention(4, 2),
}


class Zoo(nn.Module):
    """Each part reads its own input; the output mixes them all."""

    def __init__(self, kinds: list[str]) -> None:
        super().__init__()
        self.kinds = kinds
        self.parts = nn.ModuleList(KINDS[kind]() for kind in kinds)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = [self.read(part, x * (1 + 0.1 * i)) for i, part in enumerate(self.parts)]
        return torch.stack(outputs).tanh().prod(dim=0).sum() + sum((o * o).sum() for o in outputs)

    @staticmethod
    def read(part: nn.Module, x: torch.Tensor) -> torch.Tensor:
        if isinstance(part, nn.Embedding):
            return part(torch.arange(12).reshape(3, 4) % 4).mean(dim=1)
        if isinstance(part, nn.MultiheadAttention):
            return part(x, x, x)[0]
        if isinstance(part, nn.Conv1d):
            return part(x.t()).t()
        if isinstance(part, nn.RNNBase):
            return part(x)[0][:, :4]
        return part(x)


@st.composite
def cases(draw):
    """A model's kinds, and sets of at least one site each that are to be one parameter."""
    kinds = draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=5))
    by_shape = defaultdict(list)
    for name, parameter in make(kinds).named_parameters():
        by_shape[tuple(parameter.shape)].append(name)
    groups = []
    for names in by_shape.values():
        labels = draw(st.lists(st.integers(0, 2), min_size=len(names), max_size=len(names)))
        classes = defaultdict(list)
        for name, label in zip(names, labels, strict=True):
            classes[label].append(name)
        groups += [members for label, members in sorted(classes.items()) if label]  # label 0 stays private
    return kinds, groups


def make(kinds) -> Zoo:
    torch.manual_seed(len(kinds))
    return Zoo(kinds).double()


def spec_of(groups, init="first"):
    entries = [
        {"tie": members, "name": f"P{i}", "init": init}
        if len(members) > 1
        else {"sites": members[0], "equals": f"P{i}", "init": init}
        for i, members in enumerate(groups)
    ]
    return {"share": entries or ["**.weight = P"]} if entries else None


def partition(module):
    by_parameter = defaultdict(set)
    for name, parameter in module.named_parameters(remove_duplicate=False):
        by_parameter[id(parameter)].add(name)
    return frozenset(frozenset(names) for names in by_parameter.values() if len(names) > 1)


def place(module, name):
    path, _, last = name.rpartition(".")
    return module.get_submodule(path), last


def wanted(groups):
    return frozenset(frozenset(members) for members in groups if len(members) > 1)


def images(module):
    """Everything that a refused call must not change."""
    named = dict(module.named_parameters(remove_duplicate=False))
    hooks = [(len(m._load_state_dict_pre_hooks), len(m._load_state_dict_post_hooks)) for m in module.modules()]
    attributes = [(sorted(vars(m)), sorted(m._buffers), sorted(m._modules)) for m in module.modules()]
    return {name: id(p) for name, p in named.items()}, hooks, attributes, {n: p.tolist() for n, p in named.items()}


@FEW
@given(cases(), st.randoms())
def test_twice_is_once_and_order_does_not_matter(case, shuffler: random.Random):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    one, other = make(kinds), make(kinds)
    plan = tie(one, spec)
    before = images(one)
    assert tie(one, spec) is plan
    tie(one, plan)
    assert images(one) == before
    shuffled = {"share": shuffler.sample(spec["share"], len(spec["share"]))}
    assert tie(one, shuffled) is plan and images(one) == before
    assert tie(one, make_plan(make(kinds), shuffled)) is plan and images(one) == before
    assert tie(other, shuffled).graph == plan.graph
    assert load_spec(dump_spec(plan.spec)) == plan.spec
    assert partition(one) == partition(other) == wanted(groups) == discover(one).partition() == plan.graph.partition()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@FEW
@given(cases())
def test_names_are_the_truth(case):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    written = json.dumps(make_plan(make(kinds), spec).to_dict())
    module = make(kinds)
    tie(module, Plan.from_dict(json.loads(written)))
    assert partition(module) == wanted(groups)
    addresses = {str(number) for p in module.parameters() for number in (id(p), p.data_ptr())}
    assert not addresses & set(re.findall(r"\d+", json.dumps(get_plan(module).to_dict())))


def assert_initial(init, value, held) -> None:
    """`value` is what `init` makes of what the sites held, in model order."""
    if init == "normal(0.3)":
        assert value.numel() < 12 or 0.05 < float(value.std()) < 0.8
        assert not any(torch.equal(value, each) for each in held)
    else:
        expected = {"first": held[0], "mean": torch.stack(held).mean(dim=0), "zeros": torch.zeros_like(held[0])}[init]
        torch.testing.assert_close(value.detach(), expected, rtol=0, atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(cases(), st.sampled_from(["first", "mean", "normal(0.3)", "zeros"]))
def test_values_and_gradients(case, init):
    kinds, groups = case
    spec = spec_of(groups, init)
    if spec is None:
        return
    tied = make(kinds)
    hand, copied = copy.deepcopy(tied), copy.deepcopy(tied)
    tie(tied, spec)
    with torch.no_grad():
        for members in groups:
            value = tied.get_parameter(members[0])
            assert_initial(init, value, [hand.get_parameter(member) for member in members])
            owner, name = place(hand, members[0])
            getattr(owner, name).copy_(value)
            for member in members:
                part, last = place(hand, member)
                setattr(part, last, getattr(owner, name))
                copied.get_parameter(member).copy_(value)
    x = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    results = [module(x) for module in (tied, hand, copied)]
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
    for result in results:
        result.backward()
    for members in groups:
        shared = tied.get_parameter(members[0]).grad
        assert torch.equal(shared, hand.get_parameter(members[0]).grad)
        per_use = sum(copied.get_parameter(member).grad for member in members)
        assert torch.allclose(shared, per_use, rtol=1e-9, atol=1e-11)


@FEW
@given(cases())
def test_predicted_savings_are_measured(case):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    predicted = report_savings(make_plan(make(kinds).to("meta"), spec))
    module = make(kinds)
    assert predicted.before.parameters == sum(p.numel() for p in module.parameters())
    tie(module, spec)
    optimizer = torch.optim.AdamW(module.parameters())
    module(torch.ones(3, 4, dtype=torch.float64)).backward()
    optimizer.step()
    measured = measure_savings(module, optimizer)
    assert measured.before == predicted.before and measured.after == predicted.after
    assert predicted.after.parameters == sum(p.numel() for p in module.parameters())
    assert saved_bytes(module.state_dict()) == predicted.after.parameter_bytes
    steps = 4 * len(optimizer.state)
    assert saved_bytes(optimizer.state_dict()) == 8 * predicted.after.optimizer_cells + steps  # float64


def saved_bytes(content) -> int:
    """What torch.save really writes for tensors: the entries below `data/` of its zip archive."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return sum(entry.file_size for entry in archive.infolist() if entry.filename.split("/")[1] == "data")


def reload(module, *, assign):
    module.load_state_dict({key: value.clone() for key, value in module.state_dict().items()}, assign=assign)
    return module


def load_aliased(module):
    module.load_state_dict(module.state_dict(), assign=True)
    return module


def load_owners_only(module):
    owners = {name for name, _ in module.named_parameters()}
    state = {key: value.clone() for key, value in module.state_dict().items() if key in owners}
    assert not module.load_state_dict(state, assign=True).missing_keys
    return module


def converted(setter, convert):
    def run(module):
        setter(True)
        try:
            return convert(module)
        finally:
            setter(False)

    return run


OPERATIONS = {
    "float": lambda m: m.float(),
    "double": lambda m: m.double(),
    "to bfloat16": lambda m: m.to(torch.bfloat16),
    "deepcopy": copy.deepcopy,
    "pickle": lambda m: pickle.loads(pickle.dumps(m)),
    "load": lambda m: reload(m, assign=False),
    "assign": lambda m: reload(m, assign=True),
    "aliased": load_aliased,
    "owners only": load_owners_only,
    "overwrite": converted(torch.__future__.set_overwrite_module_params_on_conversion, lambda m: m.half()),
    "swap": converted(torch.__future__.set_swap_module_params_on_conversion, lambda m: m.float()),
    "swap load": converted(torch.__future__.set_swap_module_params_on_conversion, lambda m: reload(m, assign=True)),
    "train": lambda m: m.train().requires_grad_(True),
}


@FEW
@given(cases(), st.lists(st.sampled_from(sorted(OPERATIONS)), min_size=1, max_size=5), st.booleans())
def test_nothing_that_torch_does_loses_a_tie(case, names, empty):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    module = make(kinds)
    plan = tie(module, spec)
    for name in names:
        if "swap" in name and {"lstm", "gru"} & set(kinds):
            continue  # torch cannot swap a parameter that an RNN has a weak reference to, tied or not
        module = OPERATIONS[name](module)
        assert partition(module) == wanted(groups), name
    values = [p.detach().clone() for p in module.parameters()]
    module = module.to(torch.float32)
    assert all(torch.equal(v.float(), p) for v, p in zip(values, module.parameters(), strict=True))
    if empty:
        module.to("meta").to_empty(device="cpu")
    verify(module)
    assert partition(module) == wanted(groups) and get_plan(module) == plan


def replace_parameter(owner, name):
    setattr(owner, name, nn.Parameter(getattr(owner, name).detach().clone()))


def delete_parameter(owner, name):
    delattr(owner, name)


def parametrize_parameter(owner, name):
    parametrize.register_parametrization(owner, name, nn.Identity())


def prune_parameter(owner, name):
    prune.random_unstructured(owner, name, 0.5)


BREAKS = {
    replace_parameter: "was replaced",
    delete_parameter: "it was deleted",
    parametrize_parameter: "a parametrization was registered",
    prune_parameter: "pruning",
}


@FEW
@given(cases(), st.sampled_from(list(BREAKS)), st.data())
def test_what_cannot_be_kept_is_an_error_that_names_group_site_and_cause(case, break_it, data):
    kinds, groups = case
    shared = [members for members in groups if len(members) > 1]
    if not shared:
        return
    module = make(kinds)
    tie(module, spec_of(groups))
    members = data.draw(st.sampled_from(shared))
    site = data.draw(st.sampled_from(members))
    break_it(*place(module, site))
    with pytest.raises(TieBroken) as caught:
        verify(module)
    text = str(caught.value)
    assert f"`P{groups.index(members)}`" in text and site in text and BREAKS[break_it] in text
    if break_it is replace_parameter:
        tie(module, get_plan(module))  # the remedy that the text gives
        verify(module)


@FEW
@given(cases())
def test_untie_restores_independence(case):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    module = make(kinds)
    plain = [sorted(vars(m)) for m in module.modules()]
    tie(module, spec)
    values = {name: p.detach().clone() for name, p in module.named_parameters(remove_duplicate=False)}
    untie(module)
    named = dict(module.named_parameters(remove_duplicate=False))
    assert partition(module) == frozenset()
    assert all(torch.equal(named[name], value) for name, value in values.items())
    assert [sorted(vars(m)) for m in module.modules()] == plain
    tie(module, spec)
    assert partition(module) == wanted(groups)


def misfit(module, spec):
    """A plan with the module's names, whose last group has another shape."""
    untied = make(module.kinds)
    data = make_plan(untied, spec).to_dict()
    data["graph"]["groups"][-1]["meta"]["shape"] = [9, 9]
    before = images(untied)
    try:
        tie(untied, Plan.from_dict(data))
    finally:
        assert images(untied) == before


def exhausted():
    yield from ()


def other_plan():
    return make_plan(nn.Sequential(nn.Linear(2, 3), nn.Linear(2, 3)), {"share": ["{i}.weight = W"]})


NO_SPECS = [None, 3, 2.5, b"x", [], object(), nn.Linear, exhausted(), torch.zeros(2), {}, {"share": None}, {1: 2},
            {"share": [None]}, {"share": exhausted()}, "", "share: [", "no/such/file.yaml", "a\0.yaml"]  # fmt: skip
NO_MODULES = [None, 3, "model", {}, nn.Linear, exhausted(), torch.zeros(2), make]
REFUSED = [
    *(lambda module, spec, wrong=wrong: tie(module, wrong) for wrong in NO_SPECS),
    *(lambda module, spec, wrong=wrong: make_plan(module, wrong) for wrong in NO_SPECS),
    *(lambda module, spec, wrong=wrong: tie(wrong, spec) for wrong in NO_MODULES),
    *(lambda module, spec, wrong=wrong: make_plan(wrong, spec) for wrong in NO_MODULES),
    *(lambda module, spec, call=call, wrong=wrong: call(wrong)
      for call in (untie, discover, verify, get_plan) for wrong in NO_MODULES),
    *(lambda module, spec, wrong=wrong: report_savings(wrong) for wrong in (*NO_MODULES, nn.Linear(2, 2))),
    *(lambda module, spec, wrong=wrong: untie(module, wrong) for wrong in (3, [None], ["parts.99.weight"], "x", [[]])),
    *(lambda module, spec, wrong=wrong: Plan.from_dict(wrong) for wrong in (None, 3, {}, {"version": 1}, "x")),
    lambda module, spec: tie(module, other_plan()),
    lambda module, spec: tie(module, replace(make_plan(make(["linear"] * 9), {"share": ["**.weight = W"]}))),
    misfit,
    lambda module, spec: tie(module, replace(make_plan(module, spec), steps=(Alias("parts.0.weight", "x"),))),
    lambda module, spec: tie(module, {"share": [*spec["share"], "no.such.{l}.site = X"]}),
    lambda module, spec: tie(module, {"share": ["**.weight = W", "parts.{i}.bias = B"], "unknown": 1}),
    lambda module, spec: tie(module, {"share": ["parts.{i}.{name*} = W", "parts.{i}.{name*} = W"]}),
]  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(cases(), st.booleans())
def test_refused_calls_change_nothing(case, tied):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    module = make(kinds)
    if tied:
        tie(module, spec)
    before = images(module)
    for number, call in enumerate(REFUSED):
        with pytest.raises(TyingError) as caught:
            call(module, spec)
            pytest.fail(f"call {number} was not refused")
        assert len(str(caught.value)) > 20  # a sentence
        assert images(module) == before, number
