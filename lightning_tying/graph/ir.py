"""What a spec means for one model, as frozen data that prints itself: the `SharingGraph`. No tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from lightning_tying.errors import ConfigError, Problem
from lightning_tying.graph.files.render_data import GraphData, graph_to_data, graph_to_json
from lightning_tying.graph.files.to_spec import graph_to_spec
from lightning_tying.graph.parts import (
    DerivedSite,
    ParameterName,
    ParameterPolicy,
    Penalty,
    SharingGroup,
    Site,
    TensorMeta,
    Use,
)
from lightning_tying.graph.pictures.render_dot import graph_to_dot
from lightning_tying.graph.pictures.render_html import graph_to_html
from lightning_tying.graph.pictures.render_mermaid import graph_to_mermaid
from lightning_tying.graph.pictures.render_text import graph_to_text
from lightning_tying.spec.schema import SharingSpec

__all__ = [
    "DerivedSite",
    "ParameterName",
    "ParameterPolicy",
    "Penalty",
    "SharingGraph",
    "SharingGroup",
    "Site",
    "TensorMeta",
    "Use",
]

Format = Literal["text", "json", "mermaid", "dot", "html"]
RENDERERS = {
    "text": graph_to_text,
    "json": graph_to_json,
    "mermaid": graph_to_mermaid,
    "dot": graph_to_dot,
    "html": graph_to_html,
}


@dataclass(frozen=True)
class SharingGraph:
    """All sharing groups of one model, and the parameters that no equation binds.

    Two graphs are equal when they have the same uses, whatever the order of the equations they come from.

    Args:
        groups: in model order of their owners.
        private: one entry for each parameter that no equation binds and no tie shares (its FQN and
            metadata), so that savings can be reckoned on the whole model.
        derived: the sites that read more than a bare parameter, in model order. Each is a use of every parameter
            that its expression reads.
        penalties: squared distances that are added to the loss, in model order.
        warnings: W1 … W7 of the language reference.
        sites: every site of the model in model order, as it was before the spec is applied: with it a pass
            looks up shape, dtype and device of each use. Empty in a graph that was read from data.
    """

    groups: tuple[SharingGroup, ...]
    private: tuple[tuple[str, TensorMeta], ...] = ()
    derived: tuple[DerivedSite, ...] = ()
    penalties: tuple[Penalty, ...] = ()
    warnings: tuple[Problem, ...] = field(default=(), compare=False)
    sites: tuple[Site, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def uneven(self) -> tuple[tuple[SharingGroup, tuple[Site, ...]], ...]:
        """The groups whose sites are not all alike (shape, dtype, device, trainable, sparse), with these sites.

        Nothing for a graph that does not know its model's sites. Found once for all checks: in most models there is
        none, and every check would have to look at every site.
        """
        by_fqn = {site.fqn: site for site in self.sites}
        shared = (group for group in self.groups if by_fqn and len(group.uses) > 1)
        readers = ((group, tuple([by_fqn[use.site] for use in group.uses])) for group in shared)
        return tuple((group, sites) for group, sites in readers if not _are_alike(sites))

    def uses(self) -> Iterator[tuple[SharingGroup, Use]]:
        """Every use with its group, group by group."""
        for group in self.groups:
            for use in group.uses:
                yield group, use

    def partition(self) -> frozenset[frozenset[str]]:
        """The sites that read one parameter, as sets; what is left of a graph without names."""
        return frozenset(frozenset(group.sites) for group in self.groups if len(group.uses) > 1)

    def render(self, format: Format = "text") -> str:
        """The graph as `text`, `json`, `mermaid`, `dot` or `html`.

        Raises:
            ConfigError: another format.
        """
        if format not in RENDERERS:
            raise ConfigError(f"A graph cannot be rendered as {format!r}. Known: {', '.join(RENDERERS)}.")
        return RENDERERS[format](self)

    def __str__(self) -> str:
        return graph_to_text(self)

    def _repr_html_(self) -> str:
        return graph_to_html(self)

    def to_mermaid(self) -> str:
        """A Mermaid flowchart: shared parameters at the left, the sites that read them at the right."""
        return graph_to_mermaid(self)

    def to_dot(self) -> str:
        """A Graphviz digraph: shared parameters at the left, the sites that read them at the right."""
        return graph_to_dot(self)

    def to_dict(self) -> GraphData:
        """The graph as plain content that `json.dumps` takes; `graph_from_data` reads it back."""
        return graph_to_data(self)

    def to_spec(self) -> SharingSpec:
        """A spec that gives this graph's ties on the untied model."""
        return graph_to_spec(self)


def _are_alike(sites: tuple[Site, ...]) -> bool:
    """Whether all sites are of one kind; the inventory gives equal metadata as one object."""
    meta, sparse = sites[0].meta, sites[0].sparse
    return all((site.meta is meta or site.meta == meta) and site.sparse == sparse for site in sites)
