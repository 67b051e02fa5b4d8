"""The law of sharding units on random modules and specs: each parameter in one unit, no module inside another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from torch import nn

from lightning_tying.api import discover, make_plan, tie
from lightning_tying.errors import TyingError
from lightning_tying.lowering.runtime.parametrize import computed_sites
from lightning_tying.parallel.sharding.module_tree import Holding
from lightning_tying.parallel.sharding.settle import ROOT, Units
from lightning_tying.parallel.sharding.sharding_plan import ShardingPlan
from lightning_tying.parallel.sharding.units import plan_units
from tests.property.strategies_modules import recipes
from tests.property.strategies_specs import specs

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")


@st.composite
def cases(draw: st.DrawFn):
    recipe = draw(recipes())
    return recipe, draw(specs(recipe))


def simulate(root: nn.Module, plan: ShardingPlan) -> dict[int, int]:
    """What `fully_shard` would do: by parameter the unit that takes it, or an error where torch would fail."""
    modules = dict(root.named_modules(remove_duplicate=False))
    for path, _, site in computed_sites(root):
        modules[".".join(part for part in (path, "parametrizations", site.tensor_name) if part)] = site
    done: set[int] = set()
    owner: dict[int, int] = {}
    for number, unit in enumerate(plan.units):
        members = [modules[path] for path in unit.modules]
        assert len({id(member) for member in members}) == len(members)
        for member in members:
            assert id(member) not in done, "a module in two units"
            inside = {id(each) for each in member.modules()} - {id(member)}
            assert not inside & {id(each) for each in members}, "a module of the unit inside another"
            assert type(member).forward is not nn.Module.forward, "a container that nothing calls"
        for member in members:
            for part in managed(member, done, root=True):
                for parameter in part.parameters(recurse=False):
                    assert owner.setdefault(id(parameter), number) == number, "a parameter in two units"
        done.update(id(member) for member in members)
    return owner


def managed(module: nn.Module, done: set[int], root: bool = False) -> Iterator[nn.Module]:
    if root or id(module) not in done:
        yield module
        for child in module.children():
            yield from managed(child, done)


def tie_if_it_can_be(module: nn.Module, spec: object) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tie(module, spec)  # type: ignore[arg-type]
    except TyingError:
        return False
    return True


@settings(max_examples=200, deadline=None)
@given(cases())
def test_each_parameter_is_in_one_unit(case) -> None:
    recipe, spec = case
    module, fresh = recipe.build(), recipe.build()
    if not tie_if_it_can_be(module, spec):
        event("refused")
        return
    graph = make_plan(fresh, spec).graph
    plan = plan_units(graph, module)
    event(f"units of {', '.join(sorted({unit.kind for unit in plan.units}))}")
    owner = simulate(module, plan)
    assert owner.keys() == {id(parameter) for parameter in module.parameters()}
    assert plan.units[-1].modules == ("",)
    assert plan == plan_units(graph, fresh), "the plan of an untied module is that of the tied one"
    assert sum(unit.cells for unit in plan.units) == sum(parameter.numel() for parameter in module.parameters())
    found = plan_units(discover(module), module)
    assert simulate(module, found).keys() == owner.keys()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_settling_any_units_gives_lawful_ones(data: st.DataObject) -> None:
    paths = [""]
    for number in range(data.draw(st.integers(1, 14))):
        above = data.draw(st.sampled_from(paths))
        paths.append(f"{above}.m{number}" if above else f"m{number}")
    first = {path: path for path in paths}
    places = st.lists(st.sampled_from(paths), min_size=1, max_size=4, unique=True)
    holdings = [Holding(f"p{number}", tuple(data.draw(places)), 1) for number in range(data.draw(st.integers(0, 8)))]
    modules = st.lists(st.sampled_from(paths[1:]), min_size=1, max_size=4, unique=True)
    units = Units(first, data.draw(st.lists(modules, max_size=6)))
    order = units.settle(holdings)
    assert order[-1] == ROOT and sorted(order) == sorted(units.members)
    for holding in holdings:
        assert len(units.find_all(holding.paths)) == 1
    taken: set[str] = set()
    for number in order:
        members = units.members[number]
        assert not members & taken
        taken |= members
        for one in members:
            for other in members:
                assert one == other or not one.startswith(f"{other}." if other else "")
            above = {units.find(parent) for parent in parents(one)}
            assert all(order.index(each) > order.index(number) for each in above), "what is inside comes first"


def parents(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition(".")[0]
        yield path
