"""From a sharing graph to plain content for JSON; `read_data` has the way back."""

from __future__ import annotations

import json
from typing import TypedDict

from lightning_tying.errors import Location, Problem
from lightning_tying.graph.parts import GraphView, ParameterPolicy, SharingGroup, TensorMeta, Use

VERSION = 1


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


class NameData(TypedDict):
    """A shared parameter's name: family and index."""

    family: str
    index: list[int | str]


class UseData(TypedDict):
    """One use: the site, what it adds to the gradient, and where it is written."""

    site: str
    grad: str
    scale: str | None
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


class WarningData(TypedDict):
    """A warning."""

    code: str
    location: LocationData
    text: str


class GraphData(TypedDict):
    """A sharing graph."""

    version: int
    groups: list[GroupData]
    private: list[PrivateData]
    warnings: list[WarningData]


def graph_to_data(graph: GraphView) -> GraphData:
    """The graph as dicts, lists, texts and numbers, in a stable order."""
    return {
        "version": VERSION,
        "groups": [_write_group(group) for group in graph.groups],
        "private": [{"fqn": fqn, "meta": _write_meta(meta)} for fqn, meta in graph.private],
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
    scale = use.grad.scale.text if use.grad.scale is not None else None
    return {"site": use.site, "grad": use.grad.kind, "scale": scale, "location": _write_location(use.location)}


def _write_policy(policy: ParameterPolicy) -> PolicyData:
    return {
        "init": policy.init.kind,
        "arguments": list(policy.init.arguments),
        "init_sites": list(policy.init_sites),
        "lr": policy.lr,
        "weight_decay": policy.weight_decay,
        "frozen": policy.frozen,
        "dtype": policy.dtype,
    }


def _write_meta(meta: TensorMeta) -> MetaData:
    return {"shape": list(meta.shape), "dtype": meta.dtype, "device": meta.device, "trainable": meta.trainable}


def _write_location(location: Location) -> LocationData:
    return {"source": location.source, "line": location.line, "path": location.path}


def _write_warning(warning: Problem) -> WarningData:
    return {"code": warning.code, "location": _write_location(warning.location), "text": warning.text}
