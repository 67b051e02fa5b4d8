"""A tied module, a sharing group and a partition of its uses in; a parameter for each part, with its value, out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.graph.collector import pause_gc
from lightning_tying.lowering.edits.edited_graph import EditedGraph, split_graph
from lightning_tying.lowering.edits.edited_plan import EditedPlan, plan_edited
from lightning_tying.lowering.edits.find_edited import find_one
from lightning_tying.lowering.edits.partition import read_partition
from lightning_tying.lowering.edits.rewire import (
    HOW_IN_TRAINING,
    Carried,
    PreparedEdit,
    carry_out,
    find_writes,
    name_groups,
)
from lightning_tying.lowering.holders import refuse_held
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.preconditions import check_can_change
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import TiedState


def split(module: nn.Module, group: str, partition: Sequence[Collection[str]]) -> Plan:
    """Give the uses of a shared parameter one parameter for each part, in place; no output changes, bit for bit.

    The owner's part keeps the name and the `nn.Parameter`; the others start from its value. What one function brings
    (`low_rank.A` and `low_rank.B`) and the cores of one `tt` part together. While it trains, its optimizer's state
    has to follow: `lightning_tying.tasks.edits.split_in_training`.

    Args:
        module: a tied module, or one with tied modules inside, before an optimizer or a strategy holds its parameters.
        group: the shared parameter's name as plans print it: `W`, `block[q_proj, 2]`.
        partition: its sites in two parts or more, each site in one: `[["layers.0.q.weight"], ["layers.1.q.weight"]]`.

    Returns:
        The new plan; its spec gives the same sharing to the same model without ties.

    Raises:
        ApplyError: nothing is called so, a use is missing or stands twice, no spec could say the result, or an
            optimizer or a strategy holds the parameters. Nothing has changed.
    """
    inner = check_can_change(module, "split")
    edit = prepare_split(inner, group, partition)
    refuse_held(edit.root, "split", HOW_IN_TRAINING)
    carry_out(edit)
    return edit.plan


def prepare_split(module: nn.Module, group: str, partition: Sequence[Collection[str]]) -> PreparedEdit:
    """Check a split and make its parameters; the module stays as it is.

    Args:
        module: a tied module, or one with tied modules inside.
        group: a shared parameter's name as plans print it.
        partition: its sites in two parts or more, each site in one.

    Raises:
        ApplyError: nothing is called so, the partition is none of its uses, or no spec could say the result.
    """
    with pause_gc(), torch.inference_mode(False):  # Lightning's evaluation loops run in inference mode
        path, root, state, found = find_one(module, group)
        parts = read_partition(found, partition, path)
        edited = split_graph(state.plan.graph, found, parts)
        return _prepare(root, state, edited, plan_edited(root, state, edited.graph))


def _prepare(root: nn.Module, state: TiedState, edited: EditedGraph, target: EditedPlan) -> PreparedEdit:
    keepers = {group.name: group.keeper for group in edited.before}
    slots = find_slots(root, keepers.values())
    made: dict[ParameterName, nn.Parameter] = {}
    carried: list[Carried] = []
    for name in edited.after:
        source = slots[keepers[edited.sources[name][0].name]].read()
        stays = _is_first(edited, name)
        parameter = source if stays else nn.Parameter(source.detach().clone(), requires_grad=source.requires_grad)
        made[target.names[name]] = parameter
        carried.append(Carried(parameter, ((source, 1.0),)))
    writes, computed = find_writes(root, state, target, made)
    return PreparedEdit(
        kind="split",
        root=root,
        state=state,
        plan=target.plan,
        before=tuple((str(group.name), group.sites) for group in edited.before),
        after=name_groups(target.plan.graph, frozenset(made)),
        carried=tuple(carried),
        values=(),
        gone=(),
        writes=writes,
        computed=computed,
    )


def _is_first(edited: EditedGraph, name: ParameterName) -> bool:
    """Whether a group has the owner's part of its source."""
    source = edited.sources[name][0]
    group = next(each for each in edited.graph.groups if each.name == name)
    return source.owner in group.sites
