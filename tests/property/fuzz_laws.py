"""The laws of tying, each as a function that takes a recipe and a spec, and what a refused call must leave alone."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lightning_tying.algebra.expression import Call, Expression, MatrixProduct, Own, ParameterName, Product, Read, Sum
from lightning_tying.api import discover, get_plan, make_plan, report_savings, tie, untie, verify
from lightning_tying.errors import SharingWarning, SpecError, TyingError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state_dicts.checkpoint import drop_aliases
from lightning_tying.reports.reckoning.measured import measure_savings
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec
from tests.property.reference_values import Reference
from tests.property.strategies_modules import Recipe, Zoo


def image(module: nn.Module) -> object:
    """Everything that a refused call must not change."""
    named = {
        name: (id(p), p.requires_grad, p.dtype, None if p.is_meta else p.detach().clone().double().numpy().tobytes())
        for name, p in module.named_parameters(remove_duplicate=False)
    }
    parts = [
        (
            type(part), id(part), sorted(vars(part)), sorted(part._buffers), sorted(part._modules), part.training,
            len(part._load_state_dict_pre_hooks), len(part._load_state_dict_post_hooks), len(part._forward_hooks),
        )
        for part in module.modules()
    ]  # fmt: skip
    return named, parts, list(module.state_dict())


def try_tie(module: Zoo, spec: Any, *, strict: bool = True) -> Plan | None:
    """Tie; None for a refusal, which says what is wrong and changes nothing."""
    before = image(module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SharingWarning)
            return tie(module, spec, strict=strict)
    except TyingError as error:
        assert len(str(error)) > 20, "a refusal is a sentence"
        assert image(module) == before, "a refused tie changed the module"
        return None


def check_names(recipe: Recipe, spec: Any, module: Zoo, plan: Plan) -> None:
    """Laws 1 and 2: names are the truth, twice is once, order does not matter, what is dumped is loaded."""
    before = image(module)
    assert tie(module, spec) is plan and tie(module, plan) is plan and image(module) == before
    turned = {**spec, "share": list(reversed(spec["share"]))}
    assert make_plan(recipe.build(), turned).graph == plan.graph
    assert load_spec(dump_spec(plan.spec)) == plan.spec and dump_spec(load_spec(dump_spec(plan.spec))) == dump_spec(
        plan.spec
    )
    assert Plan.from_dict(plan.to_dict()) == plan
    verify(module)


def check_discovery(recipe: Recipe, module: Zoo, plan: Plan) -> None:
    """Law 2: `discover` finds the graph up to names and parameters of one use, and writes a spec that makes it."""
    if recipe.hand is not None:
        return  # its own tie is found as well
    found = discover(module)
    assert nameless(found) == nameless(plan.graph)
    written = write_if_it_can_be(found) if found.groups else None
    if written is not None:
        untied = replace(recipe, hand=None).build()
        if ties_frozen_to_trainable(untied, found):
            return  # a tied module does not show that `frozen` was declared, or a drawn `init` decided: 74, said aloud
        again = make_plan(untied, written)
        (ours, members), (theirs, others) = nameless(again.graph), nameless(plan.graph)
        assert members == others  # brackets that say no more than + and * do are left out of the text
        for site, read in ours.items():
            assert read == theirs[site] or "fastfood" in str(read) or mean_the_same(read, theirs[site])


def ties_frozen_to_trainable(untied: nn.Module, found: SharingGraph) -> bool:
    trains = {name: parameter.requires_grad for name, parameter in untied.named_parameters(remove_duplicate=False)}
    return any(len({trains[site] for site in group.sites}) > 1 for group in found.groups)


def write_if_it_can_be(found: SharingGraph) -> SharingSpec | None:
    """The graph as a spec; None for the two things that the language cannot say of a graph without names and holes.

    `grad: mean` counts each parameter's uses: read from a module it is one factor for each parameter of a site, and an
    equation has one `grad` for all. `scale(W[m])[l]` shares what it brings over `m`.
    """
    try:
        return found.to_spec()
    except SpecError as error:
        unsayable = ("unlike gradient rules", "read unlike values otherwise")
        assert all(any(each in problem.text for each in unsayable) for problem in error.problems)
        return None


def mean_the_same(one: Expression, other: Expression) -> bool:
    """Whether two expressions of the same parameters have the same value."""
    shapes = {node.parameter: node.shape for node in one.walk() if isinstance(node, Read)}
    shapes |= {own.parameter: own.shape for node in one.walk() if isinstance(node, Call) for own in node.own}
    held = Reference({name: torch.rand(shape, dtype=torch.float64) for name, shape in shapes.items()})
    return torch.allclose(held.value(one), held.value(other), rtol=1e-12, atol=1e-12, equal_nan=True)


def nameless(graph: SharingGraph) -> tuple[dict[str, Expression], set[frozenset[tuple[str, int]]]]:
    """What every site reads, and which sites read one parameter at which places, without a name."""
    bare = {derived.site for derived in graph.derived if isinstance(derived.expression, Read)}  # `grad` alone made it
    reads = {}
    places: dict[ParameterName, set[tuple[str, int]]] = {}
    for group, use in graph.uses():
        if not use.slot or use.site in bare:
            places.setdefault(group.name, set()).add((use.site, -1))
    for derived in graph.derived:
        if derived.site in bare:
            continue
        numbers = {name: ParameterName(str(place)) for place, name in enumerate(derived.expression.parameters)}
        reads[derived.site] = rename(derived.expression, numbers)
        for place, name in enumerate(derived.expression.parameters):
            places.setdefault(name, set()).add((derived.site, place))
    return reads, {frozenset(members) for members in places.values() if not lonely(members)}


def lonely(members: set[tuple[str, int]]) -> bool:
    """A parameter that one site reads as it is."""
    return len(members) == 1 and all(place == -1 for _, place in members)


def rename(node: Expression, names: Mapping[ParameterName, ParameterName]) -> Expression:
    match node:
        case Read():
            return replace(node, parameter=names[node.parameter])
        case Sum():
            return replace(node, terms=tuple(rename(term, names) for term in node.terms))
        case Product():
            return replace(node, factors=tuple(rename(factor, names) for factor in node.factors))
        case MatrixProduct():
            return replace(node, left=rename(node.left, names), right=rename(node.right, names))
        case Call():
            own = tuple(Own(each.name, names[each.parameter], each.shape) for each in node.own)
            operands = tuple(rename(each, names) for each in node.operands)
            return replace(node, operands=operands, own=own)
        case _:
            return node


def reading(plan: Plan, module: Zoo) -> Iterator[tuple[str, torch.Tensor]]:
    """Every bound site with its value by the reference, differentiable in the shared parameters with their factors."""
    held = {group.name: module.get_parameter(group.keeper) for group in plan.graph.groups}
    factors = {(use.site, group.name): factor(group, use) for group, use in plan.graph.uses()}
    seen = set()
    for group, use in plan.graph.uses():
        if not use.slot:
            yield use.site, held[group.name]
    for derived in plan.graph.derived:
        assert derived.site not in seen
        seen.add(derived.site)
        leaves = {
            name: factors[derived.site, name] * held[name] + (1 - factors[derived.site, name]) * held[name].detach()
            for name in derived.expression.parameters
        }
        yield derived.site, Reference(leaves).value(derived.expression).to(derived_dtype(derived))


def derived_dtype(derived: Any) -> torch.dtype:
    return getattr(torch, derived.meta.dtype)


def factor(group: Any, use: Any) -> float:
    rule = use.grad
    owner = group.uses[0].site
    return {
        "sum": 1.0,
        "scale": rule.scale,
        "mean": 1 / len(group.uses),
        "owner": float(use.site == owner),
        "stop": 0.0,
    }[rule.kind]


def check_values(recipe: Recipe, module: Zoo, plan: Plan) -> None:
    """Law 3: outputs and gradients are those of a plain copy that has every value written in by hand."""
    plain = replace(recipe, hand=None).build()
    if recipe.hand is not None:  # a tie by hand; two tensors of one value compute the same
        with torch.no_grad():
            plain.get_parameter(recipe.hand[1]).copy_(plain.get_parameter(recipe.hand[0]))
    module.train(), plain.train()
    silence_dropout(module)
    values = dict(reading(plan, module))
    written: dict[int, tuple[nn.Parameter, torch.Tensor]] = {}
    with torch.no_grad():
        for site, value in values.items():
            tensor = plain.get_parameter(site)
            if id(tensor) in written:  # a second FQN; the first says which gradients pass
                torch.testing.assert_close(value, tensor, rtol=1e-12, atol=1e-12, equal_nan=True)
                continue
            tensor.copy_(value)
            written[id(tensor)] = tensor, value
    for parameter in plain.parameters():
        parameter.requires_grad_(True)
    ours, theirs = module(), plain()
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9, equal_nan=True)
    if not theirs.isfinite().all() or not ours.requires_grad:
        return
    weights = torch.linspace(-1, 1, len(ours), dtype=torch.float64)
    (weights * ours).sum().backward()
    (weights * theirs).sum().backward()
    shared = [
        p for p in dict.fromkeys(module.get_parameter(group.keeper) for group in plan.graph.groups) if p.requires_grad
    ]
    pairs = [
        (value, tensor.grad) for tensor, value in written.values() if value.requires_grad and tensor.grad is not None
    ]
    if not pairs or not shared:
        return
    wanted = torch.autograd.grad([v for v, _ in pairs], shared, [g for _, g in pairs], allow_unused=True)
    for parameter, expected in zip(shared, wanted, strict=True):
        got = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        scale = 1 + float(got.abs().max()) if got.numel() else 1.0
        if scale > 1e8:  # beside a pole, such as `normalize` of a slice that is 0 but for rounding: nothing to compare
            continue
        torch.testing.assert_close(
            got / scale,
            torch.zeros_like(got) if expected is None else expected / scale,
            rtol=1e-7,
            atol=1e-9,
            equal_nan=True,
        )


def silence_dropout(module: nn.Module) -> None:
    """`drop` of a spec draws in training; the laws compare what it is without."""
    for name, part in module.named_modules():
        if "parametrizations" in name:
            part.eval()


def check_savings(recipe: Recipe, spec: Any, module: Zoo, plan: Plan) -> None:
    """Law 4: what is predicted on meta is what is measured."""
    predicted = report_savings(make_plan(replace(recipe, device="meta").build(), spec))
    assert predicted.after.parameters == sum(p.numel() for p in module.parameters())
    held = {id(p): p for p in module.parameters()}.values()
    assert predicted.after.parameter_bytes == sum(p.numel() * p.element_size() for p in held)
    trainable = [p for p in module.parameters() if p.requires_grad]
    if not trainable:
        return
    optimizer = torch.optim.AdamW(trainable)
    for parameter in trainable:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    measured = measure_savings(module, optimizer)
    assert measured.after == predicted.after
    before = replace(measured.before, trainable=0, optimizer_cells=0)
    assert before == replace(predicted.before, trainable=0, optimizer_cells=0)  # nobody knows what was frozen before
    assert recipe.frozen or "frozen" in str(spec) or measured.before == predicted.before


def output(module: Zoo) -> torch.Tensor:
    module.eval()
    with torch.no_grad():
        return module()


def same(one: torch.Tensor, other: torch.Tensor, tolerance: float = 0) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)


def assign(module: Zoo) -> Zoo:
    module.load_state_dict({key: value.clone() for key, value in module.state_dict().items()}, assign=True)
    return module


def reload(module: Zoo) -> Zoo:
    module.load_state_dict({key: value.clone() for key, value in module.state_dict().items()})
    return module


OPERATIONS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
    "assign": assign,
    "load": reload,
    "double": lambda module: module.double(),
    "cpu": lambda module: module.to("cpu"),
}


def check_life(module: Zoo, plan: Plan, operations: list[str]) -> None:
    """Law 5: nothing that torch does loses a tie, or changes an output."""
    before = output(module)
    for name in operations:
        module = OPERATIONS[name](module)
        verify(module)
        assert get_plan(module) == plan
        same(output(module), before)
        held = {group.name: {id(module.get_parameter(place)) for place in group.places} for group in plan.graph.groups}
        assert all(len(ids) == 1 for ids in held.values()), name
    module.to("meta").to_empty(device="cpu")
    verify(module)


def check_untie(module: Zoo, plan: Plan, place: int) -> None:
    """Law 6: one site by itself, and then all, change no output; what is left is tied."""
    before = output(module)
    if not plan.sites:
        return
    site = plan.sites[place % len(plan.sites)]
    try:
        untie(module, [site])
    except TyingError as error:
        assert "two paths" in str(error)
    else:
        same(output(module), before, 1e-12)
        own = module.get_parameter(site)
        assert sum(p is own for _, p in module.named_parameters(remove_duplicate=False)) == 1 or "again" in str(
            plan.sites
        )
        try:
            verify(module)
        except TyingError as error:
            assert "not tied" in str(error)
    untie(module)
    same(output(module), before, 1e-12)
    assert not any("parametrizations" in name for name in module.state_dict())
    assert all(type(part).__module__.startswith(("torch.", "tests.")) for part in module.modules())


def check_checkpoint(recipe: Recipe, spec: Any, module: Zoo, plan: Plan, keepers_only: bool) -> None:
    """Law 7: a state dict loads into a fresh model that is tied alike, whole or with each tensor once."""
    fresh = recipe.build(seed=2)
    tie(fresh, spec)
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1.0)
    state = module.state_dict()
    fresh.load_state_dict(drop_aliases(state, plan) if keepers_only else state)
    same(output(fresh), output(module))
    verify(module)
