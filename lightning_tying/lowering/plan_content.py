"""A graph that was read from data in; nothing out, or an error that names the first value that no graph can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from lightning_tying.algebra.expression import name_slots
from lightning_tying.errors import ConfigError
from lightning_tying.graph.ir import SharingGraph, SharingGroup, TensorMeta, Use
from lightning_tying.spec.nodes import DefaultInit
from lightning_tying.spec.schema import InitKind

_INITS = frozenset((*get_args(InitKind), *get_args(DefaultInit)))
_GRADS = frozenset({"sum", "mean", "owner", "stop", "scale"})


def check_content(graph: SharingGraph) -> None:
    """Check the types of what a file brought; `graph_from_data` checks only that everything is there.

    Raises:
        ConfigError: naming the value.
    """
    for number, group in enumerate(graph.groups):
        _check_group(f"groups[{number}]", group)
    for number, (fqn, meta) in enumerate(graph.private):
        _require(f"private[{number}].fqn", fqn, isinstance(fqn, str))  # pyright: ignore[reportUnnecessaryIsInstance]
        _check_meta(f"private[{number}].meta", meta)
    for number, derived in enumerate(graph.derived):
        _require(f"derived[{number}].site", derived.site, _all_of((derived.site,), str))
        _require(f"derived[{number}].keep", derived.keep, type(derived.keep) is bool)
        _check_meta(f"derived[{number}].meta", derived.meta)
    for number, penalty in enumerate(graph.penalties):
        _require(f"penalties[{number}].site", penalty.site, _all_of((penalty.site,), str))
        _require(f"penalties[{number}].weight", penalty.weight, _all_of((penalty.weight,), int, float))
    _check_slots(graph)


def _check_group(place: str, group: SharingGroup) -> None:
    _require(f"{place}.name", group.name.family, _all_of((group.name.family,), str))
    _require(f"{place}.index", group.name.index, _all_of(group.name.index, int, str))
    _require(f"{place}.uses", group.uses, bool(group.uses) and _all_of(group.sites, str))
    policy = group.policy
    _require(f"{place}.init", policy.init.kind, _all_of((policy.init.kind,), str) and policy.init.kind in _INITS)
    _require(f"{place}.arguments", policy.init.arguments, _all_of(policy.init.arguments, int, float, str))
    _require(f"{place}.init_sites", policy.init_sites, _all_of(policy.init_sites, str))
    _require(f"{place}.lr", policy.lr, _all_of((policy.lr,), int, float))
    _require(f"{place}.weight_decay", policy.weight_decay, _all_of((policy.weight_decay,), int, float))
    _require(f"{place}.slices", policy.slices, type(policy.slices) is bool)
    for number, use in enumerate(group.uses):
        _check_use(f"{place}.uses[{number}]", use)
    _check_meta(f"{place}.meta", group.meta)


def _check_use(place: str, use: Use) -> None:
    _require(f"{place}.grad", use.grad.kind, _all_of((use.grad.kind,), str) and use.grad.kind in _GRADS)
    _require(f"{place}.scale", use.grad.scale, _all_of((use.grad.scale,), int, float))
    _require(f"{place}.slot", use.slot, _all_of((use.slot,), str))
    _require(f"{place}.bare", use.bare, type(use.bare) is bool)


def _check_slots(graph: SharingGraph) -> None:
    """The slots of every derived site are those of its expression, each in the group of its parameter."""
    held = {(use.site, use.slot): group.name for group, use in graph.uses() if use.slot}
    needed = {
        (derived.site, slot.name): slot.parameter
        for derived in graph.derived
        for slot in name_slots(derived.expression)
    }
    for (site, slot), name in needed.items():
        _require(f"the slot {slot} of {site}", held.get((site, slot)), held.get((site, slot)) == name)
    for site, slot in held.keys() - needed.keys():
        _require("a use's slot", f"{site}: {slot}", False)


def _check_meta(place: str, meta: TensorMeta) -> None:
    _require(f"{place}.shape", meta.shape, _all_of(meta.shape, int) and min(meta.shape, default=0) >= 0)
    _require(f"{place}.dtype", meta.dtype, _all_of((meta.dtype, meta.device), str))
    _require(f"{place}.trainable", meta.trainable, type(meta.trainable) is bool)


def _all_of(values: Iterable[object], *kinds: type) -> bool:
    return all(type(value) in kinds for value in values)  # not isinstance: True is no size


def _require(place: str, value: object, holds: bool) -> None:
    if not holds:
        raise ConfigError(f"This is not a saved plan: {place} cannot be {value!r}. Pass what Plan.to_dict() returned.")
