"""The laws of tying on random models with random partitions of their sites."""

from __future__ import annotations

import copy
import io
import pickle
import random
from collections import defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lightning_tying.api import discover, get_plan, make_plan, report_savings, tie, untie, verify
from lightning_tying.errors import TyingError
from lightning_tying.lowering.plan import Plan
from lightning_tying.reports.measured import measure_savings

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
        labels = draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
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
    attributes = [sorted(vars(m)) for m in module.modules()]
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
    assert tie(other, shuffled).graph == plan.graph
    assert partition(one) == partition(other) == wanted(groups) == discover(one).partition() == plan.graph.partition()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@FEW
@given(cases())
def test_names_are_the_truth(case):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    plan = Plan.from_dict(make_plan(make(kinds), spec).to_dict())
    module = make(kinds)
    tie(module, plan)
    assert partition(module) == wanted(groups)


@FEW
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
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=True)
    storages = {value.untyped_storage()._cdata: value.untyped_storage().nbytes() for value in loaded.values()}
    assert sum(storages.values()) == predicted.after.parameter_bytes


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


@FEW
@given(cases(), st.data())
def test_refused_calls_change_nothing(case, data):
    kinds, groups = case
    spec = spec_of(groups)
    if spec is None:
        return
    module = make(kinds)
    if data.draw(st.booleans()):
        tie(module, spec)
    before = images(module)
    broken = data.draw(
        st.sampled_from(
            [
                lambda: tie(module, {"share": [*spec["share"], "no.such.{l}.site = X"]}),
                lambda: tie(module, {"share": ["**.weight = W", "parts.{i}.bias = B"], "unknown": 1}),
                lambda: tie(module, {"share": ["parts.{i}.{name*} = W"]}),
                lambda: tie(module, "share: ["),
                lambda: untie(module, ["parts.99.weight"]),
                lambda: tie(module, Plan.from_dict({})),
            ]
        )
    )
    try:
        broken()
    except TyingError:
        assert images(module) == before
    else:  # one parameter of one shape everywhere: the spec was right after all
        verify(module)
