"""From the plain content that `graph_to_data` gives back to a sharing graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from lightning_tying.errors import ConfigError, Location, Problem
from lightning_tying.graph.files.expression_data import ExpressionReader
from lightning_tying.graph.files.render_data import (
    VERSION,
    DerivedData,
    GraphData,
    GroupData,
    LocationData,
    MetaData,
    PenaltyData,
    PolicyData,
    UseData,
)
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import (
    DerivedSite,
    GradientRule,
    ParameterName,
    ParameterPolicy,
    Penalty,
    SharingGroup,
    TensorMeta,
    Use,
)
from lightning_tying.spec.schema import Init, InitKind


def graph_from_data(data: Mapping[str, object]) -> SharingGraph:
    """Read a sharing graph back: `graph_from_data(graph.to_dict()) == graph`.

    Args:
        data: what `graph_to_data` gave, as it is or through JSON.

    Returns:
        The graph, without the sites of its model.

    Raises:
        ConfigError: the content is not that of a sharing graph.
    """
    try:
        return _read_graph(cast(GraphData, data))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        raise ConfigError(f"This is not a sharing graph that `to_dict` wrote: {error!r}.") from error


def _read_graph(data: GraphData) -> SharingGraph:
    if data["version"] != VERSION:
        raise ConfigError(f"Version {data['version']} of a sharing graph is not known; this release reads {VERSION}.")
    expressions = ExpressionReader(data["maps"])
    return SharingGraph(
        groups=tuple(_read_group(group) for group in data["groups"]),
        private=tuple((entry["fqn"], _read_meta(entry["meta"])) for entry in data["private"]),
        derived=tuple(_read_derived(derived, expressions) for derived in data["derived"]),
        penalties=tuple(_read_penalty(penalty, expressions) for penalty in data["penalties"]),
        warnings=tuple(
            Problem(entry["code"], _read_location(entry["location"]), entry["text"]) for entry in data["warnings"]
        ),
    )


def _read_group(data: GroupData) -> SharingGroup:
    return SharingGroup(
        name=ParameterName(data["name"]["family"], tuple(data["name"]["index"])),
        uses=tuple(_read_use(use) for use in data["uses"]),
        meta=_read_meta(data["meta"]),
        policy=_read_policy(data["policy"]),
    )


def _read_use(data: UseData) -> Use:
    grad = GradientRule(cast(Literal["sum", "mean", "owner", "stop", "scale"], data["grad"]), data["scale"])
    return Use(data["site"], grad, data["slot"], data["bare"], _read_location(data["location"]))


def _read_derived(data: DerivedData, expressions: ExpressionReader) -> DerivedSite:
    expression = expressions.read(data["expression"])
    location = _read_location(data["location"])
    return DerivedSite(data["site"], expression, _read_meta(data["meta"]), data["keep"], location)


def _read_penalty(data: PenaltyData, expressions: ExpressionReader) -> Penalty:
    expression = expressions.read(data["expression"])
    return Penalty(data["site"], expression, data["weight"], _read_location(data["location"]))


def _read_policy(data: PolicyData) -> ParameterPolicy:
    return ParameterPolicy(
        init=Init(cast(InitKind, data["init"]), tuple(data["arguments"])),
        init_sites=tuple(data["init_sites"]),
        lr=data["lr"],
        weight_decay=data["weight_decay"],
        frozen=data["frozen"],
        dtype=data["dtype"],
        slices=data["slices"],
    )


def _read_meta(data: MetaData) -> TensorMeta:
    return TensorMeta(tuple(data["shape"]), data["dtype"], data["device"], data["trainable"])


def _read_location(data: LocationData) -> Location:
    return Location(data["source"], data["line"], data["path"])
