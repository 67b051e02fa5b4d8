"""A graph and a split or a join in; the graph with other sharing groups out, or a refusal. No tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from lightning_tying.algebra.expression import Call, Expression, ParameterName, Read
from lightning_tying.errors import ApplyError
from lightning_tying.graph.files.rename import choose_names, rename_parameters
from lightning_tying.graph.ir import SharingGraph, SharingGroup, Use

ALONE = ParameterName("alone")  # what a site that shares nothing reads, where a spec needs one entry


@dataclass(frozen=True)
class EditedGraph:
    """A graph after an edit.

    Args:
        graph: its groups may have one use; names are those that a spec should give them.
        sources: the old groups that a new or changed one takes its value from, by its name.
        before: the old groups that were changed.
        after: the names of the groups that took their place.
    """

    graph: SharingGraph
    sources: Mapping[ParameterName, tuple[SharingGroup, ...]]
    before: tuple[SharingGroup, ...]
    after: tuple[ParameterName, ...]


def split_graph(graph: SharingGraph, group: SharingGroup, parts: Sequence[frozenset[str]]) -> EditedGraph:
    """Several groups in the place of one; what one call brings, and the cores of one `tt`, part together.

    Args:
        graph: of a tied module.
        group: of that graph.
        parts: its sites, each in one part; the owner's part keeps the name.
    """
    ordered = sorted(parts, key=lambda part: min(group.sites.index(site) for site in part))
    together = [each for each in graph.groups if each.name in _find_siblings(graph, group.name)]
    for other in together:
        if frozenset(other.sites) != frozenset(group.sites):
            raise ApplyError(
                f"`{group.name}` and `{other.name}` belong together, and other sites read `{other.name}`: "
                f"{', '.join(other.sites[:4])}. Write the two groups into the spec by hand."
            )
    made = {other.name: _part(graph, other, ordered) for other in together}
    groups = [new for old in graph.groups for new in made.get(old.name, (old,))]
    names = {
        site: {old: new.name for old, news in made.items() for new in news if site in new.sites} for site in group.sites
    }
    sources = {new.name: (old,) for old in together for new in made[old.name]}
    after = tuple(new.name for news in made.values() for new in news)
    return EditedGraph(_rename(graph, groups, names), sources, tuple(together), after)


def join_graph(graph: SharingGraph, groups: Sequence[SharingGroup]) -> EditedGraph:
    """One group in the place of several, under the first name that is not an owner's FQN.

    What else the functions bring that bring these groups, and the other cores of a `tt`, is joined alike.

    Args:
        graph: of a tied module.
        groups: of that graph, or of one use for a parameter that nothing binds.

    Raises:
        ApplyError: they are unlike: shapes, dtypes, devices, policies, frozen and trainable.
    """
    sets = _list_joins(graph, groups)
    order = {site.fqn: place for place, site in enumerate(graph.sites)}
    joined = {_join(each, order): each for each in sets}
    before = tuple(group for each in sets for group in each)
    names: dict[str, dict[ParameterName, ParameterName]] = {}
    for group, sources in joined.items():
        for site in group.sites:
            names.setdefault(site, {}).update({each.name: group.name for each in sources if site in each.sites})
    kept = [group for group in graph.groups if group not in before]
    bare = replace(graph, private=tuple(each for each in graph.private if each[0] not in names))
    sources = {group.name: tuple(each) for group, each in joined.items()}
    return EditedGraph(_rename(bare, [*kept, *joined], names), sources, before, tuple(sources))


def _list_joins(graph: SharingGraph, groups: Sequence[SharingGroup]) -> list[Sequence[SharingGroup]]:
    """The sets that become one group each, the groups that were asked for first."""
    rows = [_find_row(graph, group.name) for group in groups]
    places = {row.index(group.name) for row, group in zip(rows, groups, strict=True)}
    if len(places) > 1 or len({len(row) for row in rows}) > 1:
        return [groups]
    held = {group.name: group for group in graph.groups}
    others = [dict.fromkeys(column) for number, column in enumerate(zip(*rows, strict=True)) if number not in places]
    return [groups, *([held[name] for name in column] for column in others if len(column) > 1)]


def _find_row(graph: SharingGraph, name: ParameterName) -> tuple[ParameterName, ...]:
    """What one index names together with a parameter, in the function's order; itself alone, mostly."""
    for derived in graph.derived:
        for node in derived.expression.walk():
            for row in (_list_brought(node), _list_cores(node)):
                if name in row:
                    return row
    return (name,)


def _list_brought(node: Expression) -> tuple[ParameterName, ...]:
    return tuple(one.parameter for one in node.own) if isinstance(node, Call) else ()


def _list_cores(node: Expression) -> tuple[ParameterName, ...]:
    if not isinstance(node, Call) or node.function != "tt":
        return ()
    return tuple(each.parameter for each in node.operands if isinstance(each, Read))


def _join(groups: Sequence[SharingGroup], order: Mapping[str, int]) -> SharingGroup:
    _check_alike(groups)
    uses = _order_uses({use.site: use for group in groups for use in group.uses}.values(), order)
    named = next((each.name for each in groups if str(each.name) != each.owner and each.name != ALONE), None)
    name = ParameterName(uses[0].site) if named is None else named
    sites = {site for each in groups for site in each.policy.init_sites}
    base = next((group for group in groups if group.name == name), groups[0])
    policy = replace(base.policy, init_sites=tuple(sorted(sites, key=lambda site: order.get(site, 0))))
    return SharingGroup(name, uses, base.meta, policy)


def find_edited(graph: SharingGraph, name: str) -> SharingGroup | None:
    """The group of a name; for the FQN of a parameter that no other site reads, a group of one use."""
    for group in graph.groups:
        if str(group.name) == name or (group.sites == (name,) and group.is_plain):
            return group
    for fqn, meta in graph.private:
        if fqn == name:
            return SharingGroup(ParameterName(fqn), (Use(fqn),), meta)
    return None


def _find_siblings(graph: SharingGraph, name: ParameterName) -> frozenset[ParameterName]:
    """A parameter with those that one index names together with it."""
    nodes = [node for derived in graph.derived for node in derived.expression.walk()]
    rows = [frozenset(row) for node in nodes for row in (_list_brought(node), _list_cores(node)) if row]
    found = frozenset({name})
    while True:
        grown = found.union(*(row for row in rows if row & found))
        if grown == found:
            return found
        found = grown


def _part(graph: SharingGraph, group: SharingGroup, parts: Sequence[frozenset[str]]) -> tuple[SharingGroup, ...]:
    """A group for each part, the first one with the old name."""
    anonymous = str(group.name) == group.owner
    order = {site.fqn: place for place, site in enumerate(graph.sites)}
    uses = [_order_uses([use for use in group.uses if use.site in part], order) for part in parts]
    wanted = [ParameterName(each[0].site) if anonymous else group.name for each in uses]
    taken = [other.name for other in graph.groups if other.name != group.name]
    names = choose_names(enumerate([*taken, *wanted]))
    return tuple(
        replace(
            group,
            name=names[len(taken) + number],
            uses=each,
            policy=replace(
                group.policy, init_sites=tuple(site for site in group.policy.init_sites if site in parts[number])
            ),
        )
        for number, each in enumerate(uses)
    )


def _order_uses(uses: Iterable[Use], order: Mapping[str, int]) -> tuple[Use, ...]:
    """The owner's use first, the others in model order."""
    known = sorted(uses, key=lambda use: order.get(use.site, 0))
    owner = next((use for use in known if use.bare), known[0])
    return (owner, *(use for use in known if use is not owner))


def _rename(
    graph: SharingGraph, groups: Sequence[SharingGroup], names: Mapping[str, Mapping[ParameterName, ParameterName]]
) -> SharingGraph:
    """The graph with other groups, and expressions that read them."""
    derived = tuple(
        replace(
            each, expression=rename_parameters(each.expression, _complete(each.expression.parameters, names, each.site))
        )
        for each in graph.derived
    )
    held = {group.name for group in groups}
    penalties = tuple(
        replace(
            each, expression=rename_parameters(each.expression, _complete(each.expression.parameters, names, "", held))
        )
        for each in graph.penalties
    )
    return replace(graph, groups=tuple(groups), derived=derived, penalties=penalties)


def _complete(
    read: Iterable[ParameterName],
    names: Mapping[str, Mapping[ParameterName, ParameterName]],
    site: str,
    held: Collection[ParameterName] = (),
) -> dict[ParameterName, ParameterName]:
    """The new name of everything that is read at a site; a penalty reads what took the place of a name."""
    everywhere = {old: new for each in names.values() for old, new in each.items()} if not site else {}
    mine = names.get(site, {})
    return {
        name: mine.get(name, name) if site or name in held else everywhere.get(name, name)
        for name in dict.fromkeys(read)
    }


def _check_alike(groups: Sequence[SharingGroup]) -> None:
    first = groups[0]
    for other in groups[1:]:
        pair = f"`{first.name}` and `{other.name}` cannot be joined:"
        if other.meta.shape != first.meta.shape:
            raise ApplyError(f"{pair} they are {list(first.meta.shape)} and {list(other.meta.shape)}.")
        if (other.meta.dtype, other.meta.device) != (first.meta.dtype, first.meta.device):
            one, two = (f"{each.meta.dtype} on {each.meta.device}" for each in (first, other))
            raise ApplyError(f"{pair} they are {one} and {two}. Convert one of them before.")
        mine, theirs = ((each.policy.lr, each.policy.weight_decay) for each in (first, other))
        if mine != theirs:
            raise ApplyError(
                f"{pair} lr and weight_decay are {mine[0]:g} and {mine[1]:g} for one, {theirs[0]:g} and {theirs[1]:g} "
                "for the other. Give both one policy under `parameters`."
            )
