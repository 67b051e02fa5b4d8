"""A module and what the rows of a new vocabulary are made of in; embedding, head, biases and sizes follow out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.derive import find_values
from lightning_tying.lowering.edits.changed_groups import find_changed, refuse_local
from lightning_tying.lowering.edits.find_vocabulary import Vocabulary, find_vocabulary
from lightning_tying.lowering.edits.plain_rows import change_plain
from lightning_tying.lowering.edits.resize import check_rows, check_whole
from lightning_tying.lowering.edits.resized_values import carry_out
from lightning_tying.lowering.edits.row_change import RowChange
from lightning_tying.lowering.edits.vocabulary_sites import (
    Sizes,
    choose_by_maps,
    choose_by_size,
    find_mapped,
    plan_sizes,
)
from lightning_tying.lowering.holders import refuse_held
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.preconditions import check_can_change
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import TiedState, require_state
from lightning_tying.lowering.undo import read_value


@dataclass(frozen=True)
class ChangedRows:
    """What `change_rows` did.

    Args:
        old_rows: of the table before, those that no id named included.
        rows: of the table now.
        parameters: every parameter that was replaced, by its first FQN in the module, with the vocabulary's
            dimension: what an optimizer's moments have to follow.
    """

    old_rows: int
    rows: int
    parameters: Mapping[str, int]


def change_rows(module: nn.Module, change: RowChange, group: str | None = None) -> ChangedRows:
    """Give a trained module the rows of another vocabulary: embedding, head, their biases and sizes together.

    Works on a tied module, on one with tied modules inside, and on one without any spec. For sites that read
    `rows(…, map=file)` the table changes and the files are read again: write the new maps first.

    Args:
        module: before an optimizer or a strategy holds its parameters.
        change: what each new row is made of, of `make_row_change`.
        group: the shared parameter's name as plans print it (`E`, `vocab`), or the FQN of an embedding. Default: the
            embedding of the network that tells its `vocab_size`, or the only table that is read by maps.

    Returns:
        What was replaced.

    Raises:
        ApplyError: there is no such table, or more than one, the sizes do not fit the spec, something cannot follow,
            or an optimizer or a strategy holds the parameters. Nothing has changed.
    """
    inner = check_can_change(module, "change_rows")
    with pause_gc():
        found = find_vocabulary(inner, group)
        refuse_held(found.root, "change_rows")
        if found.state is None:
            places = change_plain(found.root, found.sites, found.rows, change)
        else:
            places = _change_tied(found, found.state, change)
    full = {found.full_name(name): place for name, place in places.items()}
    names = [without_wrappers(name) for name, _ in inner.named_parameters()]
    return ChangedRows(found.rows, change.rows, {name: full[name] for name in names if name in full})


def _change_tied(found: Vocabulary, state: TiedState, change: RowChange) -> dict[str, int]:
    """Change all groups and private parameters; returns the vocabulary's dimension by the FQNs of their places."""
    check_whole(state)
    old = state.plan.graph
    graph, sizes, mapped = _plan(found, state, change.rows)
    changed = find_changed(old, graph, found.group, sizes, (found.rows, change.rows))
    plan = Plan(state.plan.spec, graph, make_steps(graph))
    if mapped:
        refuse_local(old, graph, changed, sizes)
    elif any(derived.site in sizes for derived in graph.derived):
        _try(found.root, plan, sizes, changed, change)
    carry_out(found.root, state, plan, sizes, make=partial(_carry, change=change), changed=changed)
    places = {place: changed[g.name] for g in graph.groups if g.name in changed for place in g.places}
    bound = frozenset(plan.sites)
    return places | {site: place for site, (place, _) in sizes.items() if site not in bound}


def _plan(found: Vocabulary, state: TiedState, rows: int) -> tuple[SharingGraph, Sizes, bool]:
    """The graph for the new rows, which dimensions are the vocabulary's, and whether the table is read by maps."""
    old = state.plan.graph
    mapped = find_mapped(old, found.group.name) if found.group is not None else {}
    choices = choose_by_maps(old, mapped, state) if mapped else choose_by_size(old, found.sites, found.rows, rows)
    try:
        graph, sizes = plan_sizes(found.root, state, choices, partial(_find_fault, group=found.group, rows=rows))
    except ApplyError as error:
        table = f"`{found.group.name}`" if found.group is not None else " and ".join(found.sites[:3])
        raise ApplyError(f"{table} cannot get the {rows} rows of the new vocabulary: {error}") from error
    return graph, sizes, bool(mapped)


def _find_fault(graph: SharingGraph, group: SharingGroup | None, rows: int) -> str:
    return "" if group is None else check_rows(graph, group.name, rows)


def _carry(
    old: Tensor, shape: tuple[int, ...], group: SharingGroup | None, place: int | None, *, change: RowChange
) -> Tensor:
    if place is None or shape[place] != change.rows:
        raise ApplyError(f"`{'' if group is None else group.name}` cannot follow: it would be {list(shape)}.")
    return change.carry(old, place)


def _try(root: nn.Module, plan: Plan, sizes: Sizes, changed: Mapping[ParameterName, int], change: RowChange) -> None:
    """Change a copy, and see whether the values that sites compute keep the rows that are kept."""
    before = dict(_read_values(root, plan.graph, sizes))
    copied = deepcopy(root)
    carry_out(copied, require_state(copied), plan, sizes, make=partial(_carry, change=change), changed=changed)
    here = (change.kept >= 0).nonzero().flatten()
    for site, value in _read_values(copied, plan.graph, sizes):
        place, _ = sizes[site]
        there = before[site].movedim(place, 0)[change.kept[here].to(value.device)]
        if not value.is_meta and not torch.allclose(value.movedim(place, 0)[here.to(value.device)], there, atol=1e-5):
            raise ApplyError(
                f"The rows of {site} would not stay what they were: what it is computed from has no row for each id "
                "(a hash, a product of small tables). Untie it first, or keep the old vocabulary."
            )


def _read_values(root: nn.Module, graph: SharingGraph, sizes: Sizes) -> Iterator[tuple[str, Tensor]]:
    for derived, _, value in find_values(graph, root):
        if value is not None and derived.site in sizes:
            yield derived.site, read_value(value)
