"""A graph that was read from data in; nothing out, or an error that names the first value that no graph can hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from lightning_tying.errors import ConfigError
from lightning_tying.graph.ir import SharingGraph, SharingGroup, TensorMeta
from lightning_tying.spec.schema import InitKind

_INITS = frozenset(get_args(InitKind))


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
    _check_meta(f"{place}.meta", group.meta)


def _check_meta(place: str, meta: TensorMeta) -> None:
    _require(f"{place}.shape", meta.shape, _all_of(meta.shape, int) and min(meta.shape, default=0) >= 0)
    _require(f"{place}.dtype", meta.dtype, _all_of((meta.dtype, meta.device), str))
    _require(f"{place}.trainable", meta.trainable, type(meta.trainable) is bool)


def _all_of(values: Iterable[object], *kinds: type) -> bool:
    return all(type(value) in kinds for value in values)  # not isinstance: True is no size


def _require(place: str, value: object, holds: bool) -> None:
    if not holds:
        raise ConfigError(f"This is not a saved plan: {place} cannot be {value!r}. Pass what Plan.to_dict() returned.")
