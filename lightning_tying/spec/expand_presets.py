"""A spec with presets in; the same with their equations and policies in the place of them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from lightning_tying.spec.nodes import Entry, Policy, Preset, SpecContent
from lightning_tying.spec.presets import expand_entry

Spec = TypeVar("Spec", bound=SpecContent)


def expand_presets(spec: Spec) -> Spec:
    """The same spec with each preset replaced by its equations, and their policies under its own.

    Args:
        spec: as it was read; its presets are without a mistake.

    Returns:
        Content without presets; each equation has the place of its preset. Of a policy that preset and spec both
        have, what the spec says holds; one without anything (`X: {}`) takes back all that the preset says.
    """
    if not any(isinstance(entry, Preset) for entry in spec.entries):
        return spec
    entries: list[Entry] = []
    brought: dict[str, Policy] = {}
    for entry in spec.entries:
        if isinstance(entry, Preset):
            expansion = expand_entry(entry, frozenset(spec.let))
            entries += expansion.equations
            brought |= expansion.policies
        else:
            entries.append(entry)
    return replace(spec, entries=tuple(entries), parameters=_merge(brought, spec.parameters))


def _merge(brought: Mapping[str, Policy], written: Mapping[str, Policy]) -> dict[str, Policy]:
    merged = {**brought, **written}
    for name in brought.keys() & written.keys():
        if written[name] != Policy():
            merged[name] = _complete(written[name], brought[name])
    return merged


def _complete(written: Policy, brought: Policy) -> Policy:
    """A policy of the spec, with what only the preset says."""
    return replace(
        written,
        shape=written.shape if written.shape is not None else brought.shape,
        weight_decay=written.weight_decay if written.weight_decay != 1 else brought.weight_decay,
        frozen=written.frozen if written.frozen is not None else brought.frozen,
    )
