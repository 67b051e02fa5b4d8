"""A spec and an inventory in, the sharing graph of that model out, or every mistake at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lightning_tying.algebra.expression import FileMap
from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.discover import group_unbound
from lightning_tying.graph.inventory import Inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.matching.bind import Anonymous, BoundEntry, BoundName, bind_sites
from lightning_tying.graph.matching.match import Matcher
from lightning_tying.graph.matching.names import name_parameters
from lightning_tying.graph.matching.where import keep_where
from lightning_tying.graph.parts import ParameterName
from lightning_tying.graph.policies.drafts import Draft, gather_drafts
from lightning_tying.graph.policies.finish import finish_graph
from lightning_tying.graph.policies.inits import choose_init_sites, choose_inits
from lightning_tying.graph.policies.policies import Policies
from lightning_tying.graph.reading.arguments import Surroundings
from lightning_tying.graph.reading.gradient_rules import GradientRules
from lightning_tying.graph.reading.own_parameters import check_brought
from lightning_tying.graph.reading.penalties import PenaltyReading, make_penalties, read_penalties
from lightning_tying.graph.reading.tied_inside import refuse_tied_inside
from lightning_tying.graph.reading.values import ValueReader
from lightning_tying.graph.report import Report, name_place
from lightning_tying.graph.shapes.declared_shapes import Declared, find_declared
from lightning_tying.graph.shapes.derived import infer_expressions
from lightning_tying.graph.syncs.find_syncs import find_syncs
from lightning_tying.spec.expand_presets import expand_presets
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.nodes import SpecContent
from lightning_tying.spec.own_names import family_names
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
    content = expand_presets(spec)
    rooted = _check_root(spec, inventory, report)
    entries = _read_entries(content, inventory, report) if rooted else []
    if rooted and spec.syncs:
        find_syncs(spec, inventory, report)  # for its mistakes: what is shared in time changes nothing in the graph
    binding = [entry for entry in entries if not is_penalty(entry.entry)]
    check_brought(binding, report)
    bindings = bind_sites(binding, inventory.sites, report)
    refuse_tied_inside(bindings.values(), inventory.values, report)
    drafts = gather_drafts(bindings.values())
    policies = Policies(content.parameters)
    choose_inits(drafts, lambda draft: policies.find(draft).init, report)
    choose_init_sites(drafts, inventory.sites, spec.root, report)
    declared = find_declared(drafts, policies, spec.let, report) if content.parameters else Declared()
    penalties = _read_penalties(entries, drafts, spec, report)
    inferred = infer_expressions(bindings.values(), penalties, drafts, declared, report)
    rules = GradientRules(binding, spec.let, report)
    finished = finish_graph(drafts, inferred, policies, rules, inventory.sites)
    compared = {name for one in penalties for name in one.reading.parameters}
    _warn_unshared(binding, [draft for draft in drafts if len(draft.bindings) > 1 or draft.name in compared], report)
    bound = {one.site.parameter for one in bindings.values()}
    ties, private = group_unbound(site for site in inventory.sites if site.parameter not in bound)
    groups = finished.groups
    if ties:
        order = {site.fqn: position for position, site in enumerate(inventory.sites)}
        groups = tuple(sorted((*groups, *ties), key=lambda group: order[group.owner]))
    return SharingGraph(
        groups,
        private,
        finished.derived,
        make_penalties(penalties, inferred.penalties),
        (*spec.warnings, *report.warnings),
        inventory.sites,
    )


def _check_root(spec: SharingSpec, inventory: Inventory, report: Report) -> bool:
    if spec.root in inventory.modules or not spec.root:
        return True
    near = nearest_name(spec.root, inventory.modules)
    nearest = f" Nearest: {near}." if near else ""
    report.add("25", spec.root_location, f"`root: {spec.root}` is no module.{nearest}")
    return False


def _read_entries(spec: SpecContent, inventory: Inventory, report: Report) -> list[BoundEntry]:
    """Every entry that has sites, with what each of them reads."""
    matcher = Matcher(inventory, spec.root, report)
    files: dict[str, FileMap] = {}
    read: list[BoundEntry] = []
    for number, entry in enumerate(spec.entries):
        if isinstance(entry, Preset):
            continue
        matches = matcher.match_entry(entry)
        if isinstance(entry, Equation) and entry.where is not None and matches:
            matches = keep_where(entry.where, matches, spec.let, entry.location, report, needed=entry.alone)
        if matches:
            around = Surroundings(matches, spec.let, spec.folder, files)
            read.append(BoundEntry(entry, number, matches, _read_names(entry, number, around, report)))
    return read


def _read_names(entry: Equation | Tie, number: int, around: Surroundings, report: Report) -> Sequence[BoundName]:
    """What each site reads; nothing for an entry that was refused."""
    if isinstance(entry, Tie):
        name = ParameterName(entry.name) if entry.name is not None else Anonymous(number)
        return [name] * len(around.matches)
    ref = entry.value.bare
    if ref is not None and entry.penalty is None:
        return name_parameters(ref, around.matches, around.let, entry.location, report) or ()
    try:
        reader = ValueReader(entry.value, around)
        return [reader.read(match) for match in around.matches]
    except Mistake as mistake:
        report.add(mistake.code, entry.location, mistake.text)
        return ()


def _read_penalties(
    entries: Sequence[BoundEntry], drafts: Sequence[Draft], spec: SharingSpec, report: Report
) -> list[PenaltyReading]:
    """What sites are compared with; a name that an entry without sites may hold is not told to be missing."""
    penalties = [entry for entry in entries if is_penalty(entry.entry)]
    if not penalties:
        return []
    read = {entry.number for entry in entries if entry.names}
    refused = [entry for number, entry in enumerate(spec.entries) if number not in read and isinstance(entry, Equation)]
    unsure = {name for entry in refused for name in family_names(entry.value)}
    unsure |= {word for entry in spec.refused for word in entry.words}
    return read_penalties(penalties, {draft.name for draft in drafts}, unsure, spec.let, report)


def is_penalty(entry: Equation | Tie) -> bool:
    """Whether an entry binds nothing."""
    return isinstance(entry, Equation) and entry.penalty is not None


def _warn_unshared(entries: Sequence[BoundEntry], shared: Sequence[Draft], report: Report) -> None:
    """W2: an equation of bare names none of which is among those that are read twice shares nothing."""
    numbers = {source.number for draft in shared for source in draft.sources}
    for source in entries:
        entry = source.entry
        if not isinstance(entry, Equation) or entry.value.bare is None or not source.names:
            continue
        if source.number not in numbers:
            each = f"each `{entry.value.text}` has one use"
            report.warn("W2", entry.location, f"Nothing is shared by {name_place(entry.location)}: {each}.")
