"""State dicts in, state dicts out: with each shared tensor under its keeper's name only, or under all its names."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lightning_tying.errors import ConflictError
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import find_tied


def drop_aliases(state: Mapping[str, Any], plan: Plan, prefix: str = "") -> dict[str, Any]:
    """A copy of a state dict without the names that are aliases; the keepers' stay.

    Args:
        state: of a tied module.
        plan: of that module.
        prefix: what stands before its names, `network.`.

    Raises:
        ConflictError: an alias has another value than its keeper, so that dropping it would lose it.
    """
    names = _index(state, prefix)
    _check_values(state, names, plan)
    aliases = {names[link.site] for link in plan.links if link.site in names and link.owner in names}
    return {key: value for key, value in state.items() if key not in aliases}


def fill_aliases(
    state: MutableMapping[str, Any], plan: Plan, prefix: str = "", keys: Mapping[str, str] | None = None
) -> None:
    """Add, in place, the members of sharing groups that a state dict lacks, from any member that it has.

    Args:
        state: to be loaded into a tied module.
        plan: of that module.
        prefix: what stands before its names, `network.`.
        keys: the module's own state dict keys by place, where wrappers make them differ.

    Raises:
        ConflictError: members of one group are there with different values, or a derived site has a tensor of its
            own; nothing has been added.
    """
    names = _index(state, prefix)
    _refuse_own_tensors(names, plan)
    _check_values(state, names, plan)
    for group in plan.graph.groups:
        present = [place for place in group.places if place in names]
        if not present:
            continue
        value = state[names[present[0]]]
        for place in group.places:
            if place not in names:
                state[prefix + (keys or {}).get(place, place)] = value


def check_conflicts(module: nn.Module, state: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a state dict of a module with tied ones inside before anything of it is loaded.

    A tied module refuses by itself, but torch has loaded the modules before it by then.

    Args:
        module: whose state it is: a LightningModule.
        state: by keys of that module.
        prefix: what stands before its names.

    Raises:
        ConflictError: members of one group are there with different values.
    """
    names = _index(state, prefix)
    conflicts: list[str] = []
    for path, _, tied in find_tied(module):
        inside = f"{path}." if path else ""
        own = {name[len(inside) :]: key for name, key in names.items() if name.startswith(inside)}
        conflicts += _find_conflicts(state, own, tied.plan)
        _refuse_own_tensors(own, tied.plan)
    _refuse(conflicts)


def refuse_conflicts(module: nn.Module, state: Mapping[str, Any], prefix: str, *_arguments: object) -> None:
    """`check_conflicts` as a load pre-hook for the module around tied ones; a function that pickles."""
    check_conflicts(module, state, prefix)


def _index(state: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """The keys below `prefix`, by FQN."""
    return {without_wrappers(key[len(prefix) :]): key for key in state if key.startswith(prefix)}


def _check_values(state: Mapping[str, Any], names: Mapping[str, str], plan: Plan) -> None:
    _refuse(_find_conflicts(state, names, plan))


def _find_conflicts(state: Mapping[str, Any], names: Mapping[str, str], plan: Plan) -> list[str]:
    conflicts: list[str] = []
    for group in plan.graph.groups:
        present = [place for place in group.places if place in names]
        different = [place for place in present[1:] if _differ(state[names[present[0]]], state[names[place]])]
        if different:
            conflicts.append(_describe(group, present[0], different))
    return conflicts


def _refuse_own_tensors(names: Mapping[str, str], plan: Plan) -> None:
    """Say what to do with an untied model's weights; torch would only list missing and unexpected keys."""
    own = [derived for derived in plan.graph.derived if derived.site in names]
    if not own:
        return
    more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
    parameters = ", ".join(f"`{name}`" for name in own[0].expression.parameters)
    raise ConflictError(
        f"{own[0].site}{more} is a tensor of its own in these weights and is computed from {parameters} here. Load "
        "them into the untied model and tie that one, tie(module, spec), which solves the shared parameters; its "
        "state_dict then loads into every model that is tied like it."
    )


def _refuse(conflicts: Sequence[str]) -> None:
    if conflicts:
        raise ConflictError(
            "\n".join(
                [
                    *conflicts,
                    "These weights come from a model without these ties. Load them into the untied model and tie that "
                    "one (the spec's `init` says which value remains), or keep one entry for each group in the file.",
                ]
            )
        )


def _describe(group: SharingGroup, first: str, different: Sequence[str]) -> str:
    verb = "has" if len(different) == 1 else "have"
    return f"`{group.name}` is one parameter, and {', '.join(different)} {verb} another value than {first} here."


def _differ(one: Any, other: Any) -> bool:
    """Whether two entries hold different numbers; what cannot be compared is left to torch's own checks."""
    if one is other or not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    first, second = _local(one), _local(other)
    if first.is_meta or second.is_meta or first.shape != second.shape:
        return False
    if first.dtype == second.dtype and first.device == second.device and _same_memory(first, second):
        return False
    second = second.to(first)
    return not (torch.equal(first, second) or bool(torch.isclose(first, second, rtol=0, atol=0, equal_nan=True).all()))


def _local(tensor: Tensor) -> Tensor:
    """The part of a DTensor that is here; comparing the whole would need all processes."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # pyright: ignore  # a DTensor, by the condition


def _same_memory(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.data_ptr() != 0 and one.stride() == other.stride()
