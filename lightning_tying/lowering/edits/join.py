"""A tied module and sharing groups in; one parameter in their place, and how it got its value, out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.edits.edited_graph import EditedGraph, join_graph
from lightning_tying.lowering.edits.edited_plan import plan_edited
from lightning_tying.lowering.edits.find_edited import find_one
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

JoinInit: TypeAlias = Literal["mean", "first", "largest"]
INITS = ("mean", "first", "largest")


def join(module: nn.Module, groups: Sequence[str], init: JoinInit = "mean") -> Plan:
    """Let all uses of several parameters read one, in place; unlike `split` this changes outputs.

    Args:
        module: as for `split`.
        groups: two names or more, of shared parameters as plans print them, or FQNs of parameters of their own.
        init: what the one parameter starts from: the `mean` of all, each use counted once; the `first` of `groups`;
            the `largest`, which has the most uses.

    Returns:
        The new plan. The parameter has the first name in `groups` that is not a site's.

    Raises:
        ApplyError: nothing is called so; shapes, dtypes or policies differ; one is frozen and another trained; no spec
            could say the result; an optimizer or a strategy holds the parameters. Nothing has changed.
    """
    inner = check_can_change(module, "join")
    edit = prepare_join(inner, groups, init)
    refuse_held(edit.root, "join", HOW_IN_TRAINING)
    carry_out(edit)
    return edit.plan


def prepare_join(module: nn.Module, groups: Sequence[str], init: JoinInit = "mean") -> PreparedEdit:
    """Check a join and reckon its value; the module stays as it is.

    Args:
        module: a tied module, or one with tied modules inside.
        groups: two names or more, of shared parameters as plans print them or FQNs of parameters of their own.
        init: what the one parameter starts from: `mean` of all, each use counted once; the `first` of `groups`; the
            `largest`, with the most uses.

    Raises:
        ApplyError: nothing is called so, they are unlike, or no spec could say the result.
    """
    if init not in INITS:
        raise ApplyError(f"init is one of {', '.join(INITS)}, not {init!r}.")
    names = _check_names(groups)
    with pause_gc(), torch.inference_mode(False), torch.no_grad():
        found = [find_one(module, name) for name in names]
        _, root, state, _ = found[0]
        chosen = [group for *_, group in found]
        if any(other is not root for _, other, *_ in found):
            raise ApplyError(
                f"{_list_names(chosen)} are in modules that were tied apart, and one spec cannot say that."
            )
        if len({group.name for group in chosen}) < len(chosen):
            raise ApplyError(f"{_list_names(chosen)} are one shared parameter already.")
        edited = join_graph(state.plan.graph, chosen)
        return _prepare(root, state, edited, init)


def _prepare(root: nn.Module, state: TiedState, edited: EditedGraph, init: JoinInit) -> PreparedEdit:
    slots = find_slots(root, [group.keeper for group in edited.before])
    held = {group.name: slots[group.keeper].read() for group in edited.before}
    groups = {group.name: group for group in edited.graph.groups}
    kept: dict[ParameterName, nn.Parameter] = {}
    carried: list[Carried] = []
    for name in edited.after:
        sources = edited.sources[name]
        values = [held[group.name] for group in sources]
        _check_trainable(sources, values)
        kept[name] = next(held[group.name] for group in sources if groups[name].owner in group.sites)
        carried.append(Carried(kept[name], _weigh(sources, values, init)))
    target = plan_edited(root, state, edited.graph)
    made = {target.names[name]: parameter for name, parameter in kept.items()}
    writes, computed = find_writes(root, state, target, made)
    return PreparedEdit(
        kind="join",
        root=root,
        state=state,
        plan=target.plan,
        before=tuple((str(group.name), group.sites) for group in edited.before),
        after=name_groups(target.plan.graph, frozenset(made)),
        carried=tuple(carried),
        values=tuple((each.parameter, mean_of(each.sources)) for each in carried),
        gone=tuple(one for one in held.values() if all(one is not other for other in kept.values())),
        writes=writes,
        computed=computed,
    )


def mean_of(sources: Sequence[tuple[Tensor, float]]) -> Tensor:
    """The weighted mean, reckoned in float64; of one source a copy.

    Args:
        sources: tensors of one shape, with weights that add up to 1.
    """
    if len(sources) == 1:
        return sources[0][0].detach().clone()
    total = sum((tensor.detach().double() * weight for tensor, weight in sources), torch.zeros(()).double())
    return torch.as_tensor(total).to(sources[0][0].dtype)


def _weigh(
    groups: Sequence[SharingGroup], held: Sequence[nn.Parameter], init: JoinInit
) -> tuple[tuple[nn.Parameter, float], ...]:
    if init == "mean":
        uses = [len(group.uses) for group in groups]
        return tuple((one, count / sum(uses)) for one, count in zip(held, uses, strict=True))
    most = max(range(len(groups)), key=lambda place: len(groups[place].uses))  # the first of equals
    return ((held[0 if init == "first" else most], 1.0),)


def _check_names(groups: object) -> list[str]:
    if isinstance(groups, str) or not isinstance(groups, Sequence):
        raise ApplyError(f"join takes a list of names, ['W', 'V'], not {groups!r}.")
    names: list[object] = list(groups)  # pyright: ignore[reportUnknownArgumentType]  # whatever the caller passed
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ApplyError(f"join takes names of shared parameters, and {wrong[0]!r} is none.")
    if len(names) < 2:
        raise ApplyError(f"join takes two names or more, not {len(names)}.")
    return [str(name) for name in names]


def _check_trainable(groups: Sequence[SharingGroup], held: Sequence[nn.Parameter]) -> None:
    trains = [one.requires_grad for one in held]
    if len(set(trains)) > 1:
        one, other = groups[trains.index(True)], groups[trains.index(False)]
        raise ApplyError(
            f"`{one.name}` is trained and `{other.name}` is frozen, so they cannot be joined. Freeze or train "
            "both first."
        )


def _list_names(groups: Sequence[SharingGroup]) -> str:
    return " and ".join(f"`{group.name}`" for group in groups)
