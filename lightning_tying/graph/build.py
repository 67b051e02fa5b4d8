"""A spec and an inventory in, the sharing graph of that model out, or every mistake at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.bare import explain_unlowerable
from lightning_tying.graph.bind import Anonymous, BoundEntry, BoundName, bind_sites
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.discover import group_unbound
from lightning_tying.graph.inits import Draft, choose_init_sites, choose_inits
from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.match import Match, Matcher
from lightning_tying.graph.names import name_parameters
from lightning_tying.graph.parts import ParameterName
from lightning_tying.graph.policies import check_policies, finish_groups
from lightning_tying.graph.report import Report, name_place
from lightning_tying.graph.where import keep_where
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.schema import Equation, Preset, SharingSpec, Tie


@dataclass(frozen=True)
class DraftedGraph:
    """What planning made of a spec so far.

    Args:
        graph: of what could be understood.
        problems: the mistakes found; with any, the graph is good for nothing but finding more.
    """

    graph: SharingGraph
    problems: tuple[Problem, ...]


def build_graph(spec: SharingSpec, inventory: Inventory, *, strict: bool = True) -> SharingGraph:
    """Say what a spec means for one model.

    Args:
        spec: what was written.
        inventory: what `take_inventory` found in the module.
        strict: whether a pattern that finds nothing (mistakes 25 to 28, 31 to 33) is an error; if not, it
            is among the graph's warnings.

    Returns:
        The sharing graph; the checks of `passes` have not seen it yet.

    Raises:
        SpecError: with every mistake of matching, of words and indices and of policies.
    """
    drafted = draft_graph(spec, inventory, strict=strict)
    if drafted.problems:
        raise SpecError(drafted.problems)
    return drafted.graph


def draft_graph(spec: SharingSpec, inventory: Inventory, *, strict: bool = True) -> DraftedGraph:
    """The same without raising: what was refused is left out of the graph, so that checks find more mistakes."""
    report = Report(strict)
    with pause_gc():
        graph = _make_graph(spec, inventory, report)
    return DraftedGraph(graph, tuple(report.problems))


def _make_graph(spec: SharingSpec, inventory: Inventory, report: Report) -> SharingGraph:
    entries = _bind_entries(spec, inventory, report) if _check_root(spec, inventory, report) else []
    bindings = bind_sites(entries, inventory.sites, report)
    drafts: dict[BoundName, Draft] = {}
    for binding in bindings.values():
        draft = drafts.get(binding.name)
        if draft is None:
            named = binding.name if isinstance(binding.name, ParameterName) else ParameterName(binding.site.fqn)
            draft = drafts[binding.name] = Draft(named, [])
        draft.bindings.append(binding)
    made = tuple(drafts.values())
    choose_inits(made, spec.parameters, report)
    choose_init_sites(made, inventory.sites, spec.root, report)
    check_policies(made, spec.parameters, spec.let, report)
    _warn_unshared(entries, made, report)
    groups = finish_groups(made, spec.parameters)
    bound = {binding.site.parameter for binding in bindings.values()}
    ties, private = group_unbound(site for site in inventory.sites if site.parameter not in bound)
    if ties:
        order = {site.fqn: position for position, site in enumerate(inventory.sites)}
        groups = tuple(sorted((*groups, *ties), key=lambda group: order[group.owner]))
    return SharingGraph(groups, private, (*spec.warnings, *report.warnings), inventory.sites)


def _check_root(spec: SharingSpec, inventory: Inventory, report: Report) -> bool:
    if spec.root in inventory.modules or not spec.root:
        return True
    near = nearest_name(spec.root, inventory.modules)
    nearest = f" Nearest: {near}." if near else ""
    report.add("25", spec.root_location, f"`root: {spec.root}` is no module.{nearest}")
    return False


def _bind_entries(spec: SharingSpec, inventory: Inventory, report: Report) -> list[BoundEntry]:
    matcher = Matcher(inventory, spec.root, report)
    bound: list[BoundEntry] = []
    for number, entry in enumerate(spec.entries):
        unlowerable = explain_unlowerable(entry)
        if unlowerable is not None:
            report.problems.append(Problem("lowering", entry.location, unlowerable))
        if isinstance(entry, Preset):
            continue
        matches = matcher.match_entry(entry)
        if isinstance(entry, Equation) and entry.where is not None and matches:
            matches = keep_where(entry.where, matches, spec.let, entry.location, report)
        if matches and not (isinstance(entry, Equation) and entry.penalty is not None):
            bound.append(BoundEntry(entry, number, matches, _name_sites(entry, number, matches, spec, report)))
    return bound


def _name_sites(
    entry: Equation | Tie, number: int, matches: tuple[Match, ...], spec: SharingSpec, report: Report
) -> Sequence[BoundName]:
    """What each site reads; nothing for an entry that was refused."""
    if isinstance(entry, Tie):
        name = ParameterName(entry.name) if entry.name is not None else Anonymous(number)
        return [name] * len(matches)
    ref = entry.value.bare
    if ref is None:
        return ()
    return name_parameters(ref, matches, spec.let, entry.location, report) or ()


def _warn_unshared(entries: Sequence[BoundEntry], drafts: Sequence[Draft], report: Report) -> None:
    """W2: an equation whose every parameter has one use shares nothing."""
    shared = {source.number for draft in drafts if len(draft.bindings) > 1 for source in draft.sources}
    for source in entries:
        entry = source.entry
        if isinstance(entry, Equation) and source.names and source.number not in shared:
            each = f"each `{entry.value.text}` has one use"
            report.warn("W2", entry.location, f"Nothing is shared by {name_place(entry.location)}: {each}.")
