"""A tied module and the plan of other sizes in; its parameters, values, attributes and state follow that plan out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.derive import find_places, find_values
from lightning_tying.lowering.initial.draw import draw, fill_drawn, is_drawn, is_drawn_together, spread
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.pretrained import find_pretrained
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.resolve import Slot, find_slots, walk_modules
from lightning_tying.lowering.state import TiedState

NewRows: TypeAlias = Literal["init", "mean"]
# The old value, the new shape, the group (None where nothing binds it), the vocabulary's dimension where it is known.
MakeValue: TypeAlias = Callable[[Tensor, tuple[int, ...], SharingGroup | None, int | None], Tensor]
NOTHING: Mapping[ParameterName, int] = MappingProxyType({})
# By class name: what a layer calls the sizes of its weight's dimensions.
_SIZES = {
    "Embedding": ("num_embeddings", "embedding_dim"),
    "EmbeddingBag": ("num_embeddings", "embedding_dim"),
    "Linear": ("out_features", "in_features"),
    "Conv1D": ("nx", "nf"),
}


def carry_out(
    root: nn.Module,
    state: TiedState,
    plan: Plan,
    sizes: Mapping[str, tuple[int, int]],
    *,
    make: MakeValue,
    changed: Mapping[ParameterName, int] = NOTHING,
) -> None:
    """Put resized parameters in place; all are made before the first is put there.

    Args:
        root: the tied module.
        state: what it remembers.
        plan: for the new sizes; its groups have the names of those before.
        sizes: by site, the dimension that has changed and its new size.
        make: gives each parameter its new value.
        changed: groups that get another value even where their shape stays, with the vocabulary's dimension.
    """
    places = find_places(state.plan, root)
    before = {group.name: group for group in state.plan.graph.groups}
    made = _make_parameters(plan, before, places, make, changed)
    private = _make_private(root, plan, sizes, make)
    old = {derived.site: value for derived, _, value in find_values(state.plan.graph, root)}
    shapes = {site.fqn: site.meta.shape for site in state.plan.graph.sites}
    vocabulary = {shapes[site][place]: size for site, (place, size) in sizes.items()}
    remove_resets(root)
    for derived in plan.graph.derived:
        value = old[derived.site]
        if value is not None and value.expression != derived.expression:
            value.expression = derived.expression
    for group in plan.graph.groups:
        if group.name in made:
            for place in group.places:
                places[place].write(made[group.name])
    for slot, parameter in private:
        slot.write(parameter)
    for _, _, value in find_values(plan.graph, root):
        if value is not None:
            value.prepare()
    set_attributes(root, sizes, vocabulary)
    state.plan, state.penalties = plan, None
    install_resets(plan, root)


def _make_parameters(
    plan: Plan,
    before: Mapping[ParameterName, SharingGroup],
    places: Mapping[str, Slot],
    make: MakeValue,
    changed: Mapping[ParameterName, int],
) -> dict[ParameterName, nn.Parameter]:
    made: dict[ParameterName, nn.Parameter] = {}
    for group in plan.graph.groups:
        parameter = places[before[group.name].keeper].read()
        if tuple(parameter.shape) != group.meta.shape or group.name in changed:
            value = make(parameter.detach(), group.meta.shape, group, changed.get(group.name))
            made[group.name] = nn.Parameter(value, requires_grad=parameter.requires_grad)
    return made


def _make_private(
    root: nn.Module, plan: Plan, sizes: Mapping[str, tuple[int, int]], make: MakeValue
) -> list[tuple[Slot, nn.Parameter]]:
    """Parameters that no equation binds: biases, and heads of their own."""
    bound = frozenset(plan.sites)
    made: list[tuple[Slot, nn.Parameter]] = []
    for slot in find_slots(root, [site for site in sizes if site not in bound]).values():
        parameter = slot.read()
        place, size = sizes[slot.site]
        shape = tuple(parameter.shape)
        value = make(parameter.detach(), (*shape[:place], size, *shape[place + 1 :]), None, place)
        made.append((slot, nn.Parameter(value, requires_grad=parameter.requires_grad)))
    return made


def resize_value(old: Tensor, shape: tuple[int, ...], group: SharingGroup | None, new_rows: NewRows) -> Tensor:
    """The old cells where they were, and new ones by the group's rule; zero in biases that are their own."""
    if old.is_meta:
        return torch.empty(shape, dtype=old.dtype, device=old.device)
    new = _fill(old, shape, group, new_rows).to(device=old.device, dtype=old.dtype)
    kept = tuple(slice(0, min(one, other)) for one, other in zip(old.shape, shape, strict=True))
    new[kept] = old[kept]
    return new


def _fill(old: Tensor, shape: tuple[int, ...], group: SharingGroup | None, new_rows: NewRows) -> Tensor:
    if group is None:
        return torch.zeros(shape)
    rule = group.policy.init
    brought = "." in group.name.family  # what a function brings: a scale, a factor of a delta
    if new_rows == "mean" or (brought and not is_drawn(rule)):
        grown = [place for place, size in enumerate(old.shape) if size != shape[place]]
        return old.float().mean(dim=grown, keepdim=True).expand(shape).clone()
    if is_drawn(rule) and not is_drawn_together(rule):
        return draw(group, old)
    return fill_drawn(group, "normal", (spread(old),))


def set_attributes(root: nn.Module, sizes: Mapping[str, tuple[int, int]], vocabulary: Mapping[int, int]) -> None:
    """What layers, networks and the configs of transformers say of the vocabulary's size."""
    for slot in find_slots(root, sizes).values():
        place, size = sizes[slot.site]
        named = next((_SIZES[kind.__name__] for kind in type(slot.module).__mro__ if kind.__name__ in _SIZES), ())
        if slot.name == "weight" and place < len(named) and hasattr(slot.module, named[place]):
            setattr(slot.module, named[place], size)
    paths = [site.rpartition(".")[0] for site in sizes]
    for at, part in walk_modules(root):
        if any(not at or path.startswith(at) for path in paths):
            _set_size(part, vocabulary)
    for at, part in find_pretrained(root):
        if any(not at or path.startswith(at) for path in paths):
            untyped: Any = part
            _set_size(untyped.config, vocabulary)
            _set_size(untyped.config.get_text_config(), vocabulary)


def _set_size(thing: object, vocabulary: Mapping[int, int]) -> None:
    size = vars(thing).get("vocab_size")
    if isinstance(size, int) and size in vocabulary:
        setattr(thing, "vocab_size", vocabulary[size])  # noqa: B010  # no class declares it
