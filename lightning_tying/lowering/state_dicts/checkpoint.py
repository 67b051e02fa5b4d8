"""State dicts in, state dicts out: with each shared tensor under its keeper's name only, or under all its names."""

from __future__ import annotations

from collections.abc import Container, Mapping, MutableMapping, Sequence
from typing import Any

from torch import nn

from lightning_tying.errors import ConflictError
from lightning_tying.lowering.holders import refuse_conflict
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import without_wrappers
from lightning_tying.lowering.state import TiedState, find_tied
from lightning_tying.lowering.state_dicts.conflicts import Conflict, ConflictPolicy, find_conflicts, settle_conflicts


def drop_aliases(state: Mapping[str, Any], plan: Plan, prefix: str = "") -> dict[str, Any]:
    """A copy of a state dict without the names that are aliases; the keepers' stay.

    Args:
        state: of a tied module.
        plan: of that module.
        prefix: what stands before its names, `network.`.

    Raises:
        ConflictError: an alias has another value than its keeper, so that dropping it would lose it.
    """
    names = index_keys(state, prefix)
    _refuse(find_conflicts(state, names, plan))
    aliases = {names[link.site] for link in plan.links if link.site in names and link.owner in names}
    return {key: value for key, value in state.items() if key not in aliases}


def fill_aliases(
    state: MutableMapping[str, Any],
    plan: Plan,
    prefix: str = "",
    *,
    keys: Mapping[str, str] | None = None,
    on_conflict: ConflictPolicy = "error",
    ignored: Container[str] = (),
) -> None:
    """Add, in place, the members of sharing groups that a state dict lacks, from any member that it has.

    Args:
        state: to be loaded into a tied module.
        plan: of that module.
        prefix: what stands before its names, `network.`.
        keys: the module's own state dict keys by place, where wrappers make them differ.
        on_conflict: what becomes of two values for one parameter: `owner` or `mean` gives the group that value under
            all its names, anything else is refused here.
        ignored: keys of entries that say nothing where another member has an entry.

    Raises:
        ConflictError: members of one group are there with different values, or a derived site has a tensor of its
            own; nothing has been added.
    """
    names = index_keys(state, prefix)
    own = find_own_tensors(names, plan)
    _refuse_own_tensors(own, plan)
    said = {place: key for place, key in names.items() if key not in ignored}
    conflicts = find_conflicts(state, said, plan)
    if on_conflict in ("owner", "mean"):
        settle_conflicts(state, said, conflicts, on_conflict)
    else:
        _refuse(conflicts)
    for group in plan.graph.groups:
        present = [place for place in group.places if place in said] or [each for each in group.places if each in names]
        if not present:
            continue
        value = state[names[present[0]]]
        for place in group.places:
            if place not in said:
                state[names.get(place) or prefix + (keys or {}).get(place, place)] = value


def check_conflicts(module: nn.Module, state: Mapping[str, Any], prefix: str = "") -> None:
    """Refuse a state dict of a module with tied ones inside before anything of it is loaded.

    A tied module refuses by itself, but torch has loaded the modules before it by then.

    Args:
        module: whose state it is: a LightningModule.
        state: by keys of that module.
        prefix: what stands before its names.

    Raises:
        ConflictError: members of one group are there with different values, and the policy of their module does not
            say what becomes of them, or says `untie` while an optimizer or a strategy holds them.
    """
    names = index_keys(state, prefix)
    conflicts: list[Conflict] = []
    for path, root, tied in find_tied(module):
        inside = f"{path}." if path else ""
        own = {name[len(inside) :]: key for name, key in names.items() if name.startswith(inside)}
        if tied.on_conflict == "untie":
            if find_parting(state, own, tied):
                refuse_conflict(root)
            continue
        if tied.on_conflict == "error":
            conflicts += find_conflicts(state, own, tied.plan)
        _refuse_own_tensors(find_own_tensors(own, tied.plan), tied.plan)
    _refuse(conflicts)


def refuse_conflicts(module: nn.Module, state: Mapping[str, Any], prefix: str, *_arguments: object) -> None:
    """`check_conflicts` as a load pre-hook for the module around tied ones; a function that pickles."""
    check_conflicts(module, state, prefix)


def find_parting(state: Mapping[str, Any], names: Mapping[str, str], tied: TiedState) -> list[str]:
    """The sites that `on_conflict="untie"` gives a parameter of their own for a state dict to load.

    Those whose value differs from their group's first, and derived sites that have a tensor of their own.

    Raises:
        ConflictError: two derived sites have different values for a parameter that both are computed from.
    """
    conflicts = find_conflicts(state, names, tied.plan)
    places = [difference.place for conflict in conflicts for difference in conflict.differences]
    slots = {use.place for _, use in tied.plan.graph.uses() if use.slot}
    unclear = [conflict for conflict in conflicts if any(each.place in slots for each in conflict.differences)]
    if unclear:
        raise ConflictError(
            "\n".join(
                [
                    *map(str, unclear),
                    "A site that is computed from it cannot be untied for that: on_conflict `owner` or `mean` gives "
                    "it one value.",
                ]
            )
        )
    return list(dict.fromkeys([*places, *find_own_tensors(names, tied.plan)]))


def find_own_tensors(names: Mapping[str, str], plan: Plan) -> list[str]:
    """The derived sites that a state dict has a tensor of their own for."""
    return [derived.site for derived in plan.graph.derived if derived.site in names]


def index_keys(state: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """The keys of a state dict below `prefix`, by FQN."""
    return {without_wrappers(key[len(prefix) :]): key for key in state if key.startswith(prefix)}


def _refuse_own_tensors(own: Sequence[str], plan: Plan) -> None:
    """Say what to do with an untied model's weights; torch would only list missing and unexpected keys."""
    if not own:
        return
    expression = next(derived.expression for derived in plan.graph.derived if derived.site == own[0])
    more = f" (and {len(own) - 1} more)" if len(own) > 1 else ""
    parameters = ", ".join(f"`{name}`" for name in expression.parameters)
    raise ConflictError(
        f"{own[0]}{more} is a tensor of its own in these weights and is computed from {parameters} here. Load "
        "them into the untied model and tie that one, tie(module, spec), which solves the shared parameters; its "
        "state_dict then loads into every model that is tied like it."
    )


def _refuse(conflicts: Sequence[Conflict]) -> None:
    if conflicts:
        raise ConflictError(
            "\n".join(
                [
                    *map(str, conflicts),
                    "These weights come from a model without these ties. Load them into the untied model and tie that "
                    "one (the spec's `init` says which value remains), keep one entry for each group in the file, or "
                    'say which value counts: tie(module, spec, on_conflict="owner"), "mean" or "untie".',
                ]
            )
        )
