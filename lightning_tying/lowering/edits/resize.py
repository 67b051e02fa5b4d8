"""A tied module, the name of a sharing group and a number of rows in; all that knows the vocabulary resized out."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.edits.resized_values import NewRows, carry_out, resize_value
from lightning_tying.lowering.edits.vocabulary_sites import (
    Sizes,
    choose_by_maps,
    choose_by_size,
    count_rows,
    find_mapped,
    plan_sizes,
)
from lightning_tying.lowering.holders import refuse_held
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.preconditions import check_can_change
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.spec.nearest import nearest_name


def resize_vocabulary(
    module: nn.Module, group: str, n: int, *, pad_to_multiple_of: int | None = None, new_rows: NewRows = "init"
) -> Plan:
    """Give a vocabulary another number of rows: every site of the group, their biases, maps and tables together.

    Sizes that layers and configs tell (`num_embeddings`, `out_features`, `vocab_size`) follow. For sites that read
    `rows(…, map=file)` the files are read again: write the new maps first.

    Args:
        module: a tied module, or one with tied modules inside, before an optimizer or a strategy holds its parameters.
        group: the shared parameter's name as plans print it: `E`, `vocab`.
        n: how many rows there are then; fewer than now cuts the last ones off.
        pad_to_multiple_of: rounds `n` up to a multiple of this.
        new_rows: `init` draws them by the group's rule (normal with the old rows' deviation where it is solved from
            the sites), `mean` makes them the mean of the old ones. New cells of biases are zero.

    Returns:
        The module's new plan.

    Raises:
        ApplyError: nothing is called so, the sizes do not fit the spec, or an optimizer or a strategy holds the
            parameters. Nothing has changed.
    """
    inner = check_can_change(module, "resize_vocabulary")
    if n < 1:
        raise ApplyError(f"A vocabulary has 1 row or more, not {n}.")
    step = 1 if pad_to_multiple_of is None else pad_to_multiple_of
    if step < 1:
        raise ApplyError(f"pad_to_multiple_of is 1 or more, not {step}.")
    if new_rows not in ("init", "mean"):
        raise ApplyError(f"new_rows is init or mean, not {new_rows!r}.")
    with pause_gc():
        root, state, found = find_group(inner, group)
        refuse_held(root, "resize_vocabulary")
        graph, sizes = _plan_resized(root, state, found, -(-n // step) * step)
        plan = Plan(state.plan.spec, graph, make_steps(graph))

        def make(old: Tensor, shape: tuple[int, ...], group: SharingGroup | None, _: int | None) -> Tensor:
            return resize_value(old, shape, group, new_rows)

        carry_out(root, state, plan, sizes, make=make)
    return plan


def find_group(module: nn.Module, name: str) -> tuple[nn.Module, TiedState, SharingGroup]:
    """The tied root that has a shared parameter, what it remembers, and the group.

    Raises:
        ApplyError: there is none of that name, or the plan does not hold as a whole.
    """
    names: list[str] = []
    for _, root, state in find_tied(module):
        for group in state.plan.graph.groups:
            if str(group.name) == name:
                check_whole(state)
                return root, state, group
            names.append(str(group.name))
    near = nearest_name(name, names)
    hint = f" Nearest: {near}." if near else f" There are: {', '.join(names[:8])}." if names else " Nothing is tied."
    raise ApplyError(f"`{name}` is not a shared parameter of this module.{hint}")


def check_whole(state: TiedState) -> None:
    """Refuse a module that cannot be planned again.

    Raises:
        ApplyError: sites of it were untied, or its plan came from a file.
    """
    if state.whole is not None:
        raise ApplyError("Some sites of this module have been untied or changed since. Resize before that.")
    if not state.plan.graph.sites:
        raise ApplyError(
            "This module was tied by a plan from a file. Tie it by its spec, tie(module, spec), to resize."
        )


def _plan_resized(root: nn.Module, state: TiedState, group: SharingGroup, rows: int) -> tuple[SharingGraph, Sizes]:
    old = state.plan.graph
    mapped = find_mapped(old, group.name)
    seeds = group.sites
    choices = choose_by_maps(old, mapped, state) if mapped else choose_by_size(old, seeds, count_rows(old, group), rows)
    try:
        return plan_sizes(root, state, choices, partial(check_rows, name=group.name, rows=rows))
    except ApplyError as error:
        raise ApplyError(f"`{group.name}` cannot get {rows} rows: {error}") from error


def check_rows(graph: SharingGraph, name: ParameterName, rows: int) -> str:
    """Why a graph does not give a shared parameter its rows; empty where it does."""
    found = next(each for each in graph.groups if each.name == name)
    if rows in found.meta.shape:
        return ""
    return (
        f"by the spec and its maps it is {list(found.meta.shape)}. Write {rows} rows into the files of its maps "
        f'("rows": {rows}), or the size that `parameters` gives it, first.'
    )
