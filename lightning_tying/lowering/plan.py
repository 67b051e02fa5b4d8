"""A plan: what lowering decided, as data that can be printed, saved and applied again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lightning_tying.errors import ConfigError, Problem
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.graph.read_data import graph_from_data
from lightning_tying.lowering.plan_content import check_content
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec

_PASS = "Pass what Plan.to_dict() returned."


@dataclass(frozen=True, slots=True)
class Alias:
    """`site` becomes the same `nn.Parameter` object as `owner`."""

    site: str
    owner: str

    def __str__(self) -> str:
        return f"{self.site} -> {self.owner}"


@dataclass(frozen=True)
class Plan:
    """The steps that tie one model, with the graph and the spec that they come from.

    Args:
        spec: what was written; a checkpoint carries its dump.
        graph: what it means for this model.
        steps: in model order; applying them twice is applying them once.
    """

    spec: SharingSpec
    graph: SharingGraph
    steps: tuple[Alias, ...]

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """W1 … W7 of the language reference, as far as they are known before the plan is applied."""
        return self.graph.warnings

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site that an equation or a tie binds, group by group."""
        return tuple(use.site for _, use in self.graph.uses())

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data; `Plan.from_dict` reads it, here or on another machine."""
        return {
            "version": 1,
            "spec": spec_to_data(self.spec),
            "graph": self.graph.to_dict(),
            "steps": [{"alias": step.site, "owner": step.owner} for step in self.steps],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` wrote.

        Raises:
            ConfigError: the data is not a plan's, or of a version that this release does not read.
        """
        try:
            version, spec, content = data["version"], data["spec"], data["graph"]
            steps = tuple(Alias(step["alias"], step["owner"]) for step in data["steps"])
        except (KeyError, TypeError) as error:
            message = f"This is not a saved plan ({type(error).__name__}: {error}). {_PASS}"
            raise ConfigError(message) from error
        if version != 1:
            raise ConfigError(f"Plan version {version!r} is not known; this release reads version 1.")
        graph = graph_from_data(content)
        check_content(graph)
        if steps != make_steps(graph.groups):
            raise ConfigError(f"This is not a saved plan: its steps are not those of its graph. {_PASS}")
        return cls(load_spec(spec), graph, steps)

    def __deepcopy__(self, memo: dict[int, object]) -> Plan:
        return self  # frozen all the way down: the copy of a tied module may read the same plan

    def __str__(self) -> str:
        steps = f"{len(self.steps):,} alias" if len(self.steps) == 1 else f"{len(self.steps):,} aliases"
        return f"plan: {steps}\n{self.graph}"

    def _repr_html_(self) -> str:
        return self.graph.render("html")


def make_steps(groups: Iterable[SharingGroup]) -> tuple[Alias, ...]:
    """One step for every use but the owner's."""
    return tuple(Alias(use.site, group.owner) for group in groups for use in group.uses[1:])
