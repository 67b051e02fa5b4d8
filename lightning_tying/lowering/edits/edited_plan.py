"""A tied module and its graph after an edit in; the plan that its new spec gives, and what is called how there, out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.algebra.maps.kept_maps import use_maps
from lightning_tying.errors import ApplyError, SpecError
from lightning_tying.graph.files.rename import rename_parameters
from lightning_tying.graph.files.to_spec import ODD_LETTER, graph_to_spec
from lightning_tying.graph.inventory import Inventory, take_inventory
from lightning_tying.graph.ir import SharingGraph, Site
from lightning_tying.graph.map_files_of_graph import find_maps
from lightning_tying.lowering.edits.edited_graph import ALONE
from lightning_tying.lowering.lower import lower
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.state import TiedState
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.equation_words import EquationWords
from lightning_tying.spec.nodes import Equation
from lightning_tying.spec.patterns import read_pattern
from lightning_tying.spec.schema import SharingSpec
from lightning_tying.spec.value_reader import read_value

_UNSAID = "The sharing after this edit cannot be written as a spec, so no checkpoint could carry it: "


@dataclass(frozen=True)
class EditedPlan:
    """The plan after an edit.

    Args:
        plan: with the spec that gives it on the same model without ties.
        names: what the edited graph's groups are called in the plan: a group's name, or the FQN of a site that has a
            parameter of its own from now on.
    """

    plan: Plan
    names: Mapping[ParameterName, ParameterName]


def plan_edited(root: nn.Module, state: TiedState, graph: SharingGraph) -> EditedPlan:
    """Write the graph as a spec and plan that, as whoever resumes from a checkpoint will do.

    Args:
        root: the tied module.
        state: what it remembers.
        graph: after the edit, of `edited_graph`.

    Raises:
        ApplyError: no spec says this graph. Nothing has changed.
    """
    old = state.plan
    inventory = take_inventory(root)
    known = old.graph.sites or inventory.sites
    # Ties that the module had before any spec are written out too, and may be parted: each site is one of its own.
    sites = tuple(site._replace(parameter=number) for number, site in enumerate(known))
    try:
        written = graph_to_spec(graph, keep_names=True)
        spec = replace(
            old.spec,
            entries=written.entries or _write_nothing(known),
            parameters=written.parameters,
            root="",
            let={},
            refused=(),
            problems=(),
        )
        with use_maps(find_maps(old.graph)):
            made = plan_graph(spec, replace(inventory, sites=sites, values=()), strict=False)
    except SpecError as error:
        raise ApplyError(f"{_UNSAID}{error}") from error
    names = _find_names(graph, made)
    _check_same(graph, made, names)
    fqns = {site.fqn for site in sites}
    others = tuple(each for each in old.graph.private if each[0] not in fqns)
    return EditedPlan(lower(replace(made, private=(*made.private, *others)), spec), names)


def spec_of_nothing(inventory: Inventory) -> SharingSpec:
    """A spec that adds no sharing to what a module has."""
    return SharingSpec(entries=_write_nothing(inventory.sites))


def _write_nothing(sites: tuple[Site, ...]) -> tuple[Equation, ...]:
    """A spec has one entry or more: where nothing is shared, the first site reads a parameter that is its own."""
    pattern = read_pattern(ODD_LETTER.sub("*", sites[0].fqn))
    return (Equation(sites=(pattern,), value=read_value(ALONE.family, EquationWords())),)


def _find_names(graph: SharingGraph, made: SharingGraph) -> dict[ParameterName, ParameterName]:
    """What each group is called in the new plan, by the place where it is read."""
    aliases = {use.site: group.name for group, use in made.uses() if not use.slot}
    derived = {each.site: each.expression.parameters for each in made.derived}
    names: dict[ParameterName, ParameterName] = {}
    for group, use in graph.uses():
        if not use.slot:
            names.setdefault(group.name, aliases.get(use.site, ParameterName(use.site)))
    for each in graph.derived:
        read = each.expression.parameters
        found = derived.get(each.site, ())
        if len(read) != len(found):
            raise ApplyError(f"{_UNSAID}{each.site} would be read in another way.")
        for name, new in zip(read, found, strict=True):
            names.setdefault(name, new)
    return names


def _check_same(graph: SharingGraph, made: SharingGraph, names: Mapping[ParameterName, ParameterName]) -> None:
    """Refuse a plan that differs from the graph in more than names."""
    expressions = {each.site: each.expression for each in made.derived}
    for each in graph.derived:
        if rename_parameters(each.expression, names) != expressions.get(each.site):
            raise ApplyError(
                f"{_UNSAID}{each.site} would be computed in another way, since the index of a function names its fixed "
                "numbers too. Untie the site, or split before such a function is in the spec."
            )
    wanted, found = _list_uses(graph, names), _list_uses(made)
    for use, rule in wanted.items():
        if found.get(use, rule) != rule:
            raise ApplyError(f"{_UNSAID}{use[1]} would read `{use[0]}` with another lr, weight_decay or gradient.")
    lost = [use for use in wanted if use not in found and str(use[0]) != use[1]]
    more = [use for use in found if use not in wanted and use[0] != ALONE]
    if lost or more:
        name, site = (lost or more)[0]
        raise ApplyError(f"{_UNSAID}{site} would {'not ' if lost else ''}read `{name}`.")


def _list_uses(
    graph: SharingGraph, names: Mapping[ParameterName, ParameterName] | None = None
) -> dict[tuple[ParameterName, str], tuple[object, ...]]:
    return dict(_list_rules(graph, names))


def _list_rules(
    graph: SharingGraph, names: Mapping[ParameterName, ParameterName] | None
) -> Iterator[tuple[tuple[ParameterName, str], tuple[object, ...]]]:
    for group, use in graph.uses():
        name = group.name if names is None else names[group.name]
        yield (name, use.site), (use.grad, group.policy.lr, group.policy.weight_decay, bool(use.slot))
