"""A tied module and a change of layers (quantize, prune, weight_norm) in; the changed module, tied or not, out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal, TypeAlias

import torch
from torch import nn

from lightning_tying.errors import ApplyError, TieBroken
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.edits.share_change import note_tensors, share_made
from lightning_tying.lowering.members import find_members
from lightning_tying.lowering.preconditions import check_can_change
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.undo import untie_module
from lightning_tying.lowering.verify import verify_tied

Change: TypeAlias = Callable[[nn.Module], object]
OnTied: TypeAlias = Literal["share", "untie", "refuse"]
_POLICIES = ("share", "untie", "refuse")


def change_members(module: nn.Module, change: Change, *, on_tied: OnTied = "refuse") -> nn.Module:
    """Quantize, prune or reparametrize layers of a tied module, with a decision about those that are tied.

    torch asks nobody before it replaces a parameter, so `weight_norm(model.head)` on its own unties in silence until
    the next `verify`. This function tries the change on a copy first, and knows what it would replace.

    Args:
        module: a tied module, or one with tied modules inside, not wrapped by a strategy.
        change: what to do: a function that changes the module it is given, or returns a changed one. It is called more
            than once, on copies too, and must use nothing but its argument.
        on_tied: what becomes of tied sites that the change replaces. `refuse` changes nothing and raises; `untie` gives
            these sites parameters of their own first (derived values are written in); `share` carries the change out
            and lets all sites of a group read what was made for its owner, which needs a change of all of them.

    Returns:
        The changed module: `module` itself, or what `change` returned.

    Raises:
        ApplyError: tied sites would be replaced and the policy does not allow it. Nothing has changed.

    Example:
        ```python
        smaller = change_members(model, lambda m: quantize_dynamic(m, {nn.Linear}), on_tied="untie")
        ```
    """
    module = check_can_change(module, "change_members")
    if on_tied not in _POLICIES:
        raise ApplyError(f"on_tied is one of {', '.join(_POLICIES)}, not {on_tied!r}.")
    with _same_numbers():
        touched = _find_touched(module, change)
    hit = _find_hit(module, touched)
    if not hit:
        return run_change(change, module)
    if on_tied == "refuse":
        raise ApplyError(_explain_refusal(module, hit))
    if on_tied == "untie":
        untie_module(module, hit)
        return _checked(run_change(change, module))
    with _same_numbers():
        _share(_copy(module), change, hit)
    return _share(module, change, hit)


@contextmanager
def _same_numbers() -> Generator[None]:
    """Let a rehearsal draw the numbers that the change itself will draw."""
    before = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(before)


def run_change(change: Change, module: nn.Module) -> nn.Module:
    """The changed module: what the change returns, or the module that it was given."""
    result = change(module)
    return result if isinstance(result, nn.Module) and _is_whole(module, result) else module


def _is_whole(module: nn.Module, result: nn.Module) -> bool:
    """Whether a result stands for the whole module; `weight_norm(m.head)` returns the head."""
    return all(part is not result for part in module.modules())


def _copy(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    except RuntimeError as error:
        raise ApplyError(
            f"The change cannot be tried first, since this {type(module).__name__} cannot be copied: {error} Make "
            "pruning permanent and remove weight_norm, or change the module before its first forward."
        ) from error


def _find_touched(module: nn.Module, change: Change) -> list[str]:
    """The sites that a change replaces, tried on a copy where every site is a parameter of its own."""
    trial = _copy(module)
    untie_module(trial)
    before = {site: member.slot.read() for site, member in find_members(trial).items()}
    result = run_change(change, trial)
    return [site for site, parameter in before.items() if _is_touched(result, site, parameter, result is trial)]


def _is_touched(root: nn.Module, site: str, before: nn.Parameter, in_place: bool) -> bool:
    try:
        now = find_slots(root, [site])[site].peek()
    except TieBroken:
        return True
    if now is None or (in_place and now is not before):
        return True
    return type(now.data) is not type(before.data) or now.shape != before.shape


def _find_hit(module: nn.Module, touched: Sequence[str]) -> list[str]:
    """The touched sites that are tied: those of groups with more than one use, and derived ones."""
    tied: set[str] = set()
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        tied |= {prefix + site for group in find_shared(state.plan.graph) for site in group.sites}
        tied |= {prefix + derived.site for derived in state.plan.graph.derived}
    return [site for site in touched if site in tied]


def find_shared(graph: SharingGraph) -> list[SharingGroup]:
    """The groups that more than one place reads."""
    return [group for group in graph.groups if len(group.uses) > 1]


def _explain_refusal(module: nn.Module, hit: Sequence[str]) -> str:
    groups = _name_groups(module)
    told = [f"{site} ({', '.join(groups[site])})" if site in groups else site for site in hit[:4]]
    more = f" and {len(hit) - 4} more" if len(hit) > 4 else ""
    return (
        f"This change replaces the parameters of {', '.join(told)}{more}, which are tied. Nothing has changed. "
        "on_tied='untie' gives these sites parameters of their own first; on_tied='share' lets all sites of a group "
        "read what was made for its owner."
    )


def _name_groups(module: nn.Module) -> Mapping[str, list[str]]:
    names: dict[str, list[str]] = {}
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        for group in find_shared(state.plan.graph):
            for site in group.sites:
                names.setdefault(prefix + site, []).append(f"`{group.name}`")
    return names


def _share(module: nn.Module, change: Change, hit: Sequence[str]) -> nn.Module:
    """Run the change on the tied module, then let every member of a group read what its owner's module got."""
    noted = {path: note_tensors(root, state) for path, root, state in find_tied(module)}
    _check_shareable(module, frozenset(hit))
    result = run_change(change, module)
    for path, root, state in list(find_tied(result)):
        prefix = f"{path}." if path else ""
        own = frozenset(site[len(prefix) :] for site in hit if site.startswith(prefix))
        share_made(root, state, own, noted[path])
    return _checked(result)


def _check_shareable(module: nn.Module, hit: frozenset[str]) -> None:
    for path, _, state in find_tied(module):
        prefix = f"{path}." if path else ""
        computed = next((prefix + each.site for each in state.plan.graph.derived if prefix + each.site in hit), None)
        if computed is not None:
            raise ApplyError(
                f"{computed} is computed from shared parameters, so what the change makes for it cannot be shared. "
                "Nothing has changed; on_tied='untie' writes its value into a parameter of its own first."
            )
        for group in find_shared(state.plan.graph):
            left = [site for site in group.sites if prefix + site not in hit]
            if left and len(left) < len(group.uses):
                changed = next(site for site in group.sites if prefix + site in hit)
                raise ApplyError(
                    f"The change replaces {prefix}{changed} and not {prefix}{left[0]}, and both read `{group.name}`. "
                    "Nothing has changed; on_tied='share' needs a change of all of them, on_tied='untie' parts them."
                )


def _checked(module: nn.Module) -> nn.Module:
    if any(True for _ in find_tied(module)):
        verify_tied(module)
    return module
