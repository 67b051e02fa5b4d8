"""From a sharing graph to plain content for JSON; `read_data` has the way back."""

from __future__ import annotations

import json
from typing import TypedDict

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.files.expression_data import Content, ExpressionWriter, NameData
from lightning_tying.graph.parts import (
    DerivedSite,
    GraphView,
    ParameterPolicy,
    Penalty,
    SharingGroup,
    TensorMeta,
    Use,
)
from lightning_tying.spec.nodes import PlainData

VERSION = 2


class LocationData(TypedDict):
    """A place in a spec."""

    source: str | None
    line: int | None
    path: str


class MetaData(TypedDict):
    """A tensor's metadata."""

    shape: list[int]
    dtype: str
    device: str
    trainable: bool


class UseData(TypedDict):
    """One use: the site, what it adds to the gradient, and where it is written."""

    site: str
    grad: str
    scale: float
    slot: str
    bare: bool
    location: LocationData


class PolicyData(TypedDict):
    """A resolved policy; `init` is the word, `arguments` what stands between its brackets."""

    init: str
    arguments: list[float | str]
    init_sites: list[str]
    lr: float
    weight_decay: float
    frozen: bool | None
    dtype: str | None
    slices: bool


class GroupData(TypedDict):
    """A sharing group."""

    name: NameData
    meta: MetaData
    policy: PolicyData
    uses: list[UseData]


class PrivateData(TypedDict):
    """A private parameter."""

    fqn: str
    meta: MetaData


class DerivedData(TypedDict):
    """A site that reads more than a bare parameter."""

    site: str
    expression: Content
    meta: MetaData
    keep: bool
    location: LocationData


class PenaltyData(TypedDict):
    """A squared distance that is added to the loss."""

    site: str
    expression: Content
    weight: float
    location: LocationData


class WarningData(TypedDict):
    """A warning."""

    code: str
    location: LocationData
    text: str


class GraphData(TypedDict):
    """A sharing graph; `maps` has each map file that an expression reads once."""

    version: int
    groups: list[GroupData]
    private: list[PrivateData]
    derived: list[DerivedData]
    penalties: list[PenaltyData]
    maps: list[PlainData]
    warnings: list[WarningData]


def graph_to_data(graph: GraphView) -> GraphData:
    """The graph as dicts, lists, texts and numbers, in a stable order."""
    writer = ExpressionWriter()
    return {
        "version": VERSION,
        "groups": [_write_group(group) for group in graph.groups],
        "private": [{"fqn": fqn, "meta": _write_meta(meta)} for fqn, meta in graph.private],
        "derived": [_write_derived(derived, writer) for derived in graph.derived],
        "penalties": [_write_penalty(penalty, writer) for penalty in graph.penalties],
        "maps": writer.maps,
        "warnings": [_write_warning(warning) for warning in graph.warnings],
    }


def graph_to_json(graph: GraphView) -> str:
    """The same as JSON text."""
    return json.dumps(graph_to_data(graph), indent=2, ensure_ascii=False)


def _write_group(group: SharingGroup) -> GroupData:
    return {
        "name": {"family": group.name.family, "index": list(group.name.index)},
        "meta": _write_meta(group.meta),
        "policy": _write_policy(group.policy),
        "uses": [_write_use(use) for use in group.uses],
    }


def _write_use(use: Use) -> UseData:
    return {
        "site": use.site,
        "grad": use.grad.kind,
        "scale": use.grad.scale,
        "slot": use.slot,
        "bare": use.bare,
        "location": _write_location(use.location),
    }


def _write_derived(derived: DerivedSite, writer: ExpressionWriter) -> DerivedData:
    return {
        "site": derived.site,
        "expression": writer.write(derived.expression),
        "meta": _write_meta(derived.meta),
        "keep": derived.keep,
        "location": _write_location(derived.location),
    }


def _write_penalty(penalty: Penalty, writer: ExpressionWriter) -> PenaltyData:
    return {
        "site": penalty.site,
        "expression": writer.write(penalty.expression),
        "weight": penalty.weight,
        "location": _write_location(penalty.location),
    }


def _write_policy(policy: ParameterPolicy) -> PolicyData:
    return {
        "init": policy.init.kind,
        "arguments": list(policy.init.arguments),
        "init_sites": list(policy.init_sites),
        "lr": policy.lr,
        "weight_decay": policy.weight_decay,
        "frozen": policy.frozen,
        "dtype": policy.dtype,
        "slices": policy.slices,
    }


def _write_meta(meta: TensorMeta) -> MetaData:
    return {"shape": list(meta.shape), "dtype": meta.dtype, "device": meta.device, "trainable": meta.trainable}


def _write_location(location: Location) -> LocationData:
    return {"source": location.source, "line": location.line, "path": location.path}


def _write_warning(warning: Problem) -> WarningData:
    return {"code": warning.code, "location": _write_location(warning.location), "text": warning.text}
