"""A plan: what lowering decided, as data that can be printed, saved and applied again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from lightning_tying.errors import ConfigError, Problem
from lightning_tying.graph.files.read_data import graph_from_data
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.plan_content import check_content
from lightning_tying.spec.dumper import spec_to_data
from lightning_tying.spec.loader import load_spec
from lightning_tying.spec.schema import SharingSpec

_PASS = "Pass what Plan.to_dict() returned."
_VERSION = 2


@dataclass(frozen=True, slots=True)
class Alias:
    """`site` becomes the same `nn.Parameter` object as `owner`; both are sites, or slots of parametrizations."""

    site: str
    owner: str

    def __str__(self) -> str:
        return f"{self.site} -> {self.owner}"


@dataclass(frozen=True, slots=True)
class Parametrize:
    """`site` gets a parametrization that computes its value; its slots hold the parameters of these keepers.

    Args:
        site: the FQN of the derived site.
        slots: for each slot, in order, its name and the place (a site or a slot) whose `nn.Parameter` it holds.
    """

    site: str
    slots: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.site} <- {', '.join(f'{name}: {keeper}' for name, keeper in self.slots)}"


Step: TypeAlias = Alias | Parametrize


class Sharding(Protocol):
    """How a strategy divides the module, decided above this layer; it prints itself."""

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Plan:
    """The steps that tie one model, with the graph and the spec that they come from.

    Args:
        spec: what was written; a checkpoint carries its dump.
        graph: what it means for this model.
        steps: parametrizations in model order, then aliases group by group; applying them twice is applying them once.
        sharding: how the strategy of `make_plan(facts=…)` divides the module; not part of what tying does, and
            not in `to_dict`.
    """

    spec: SharingSpec
    graph: SharingGraph
    steps: tuple[Step, ...]
    sharding: Sharding | None = field(default=None, compare=False)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """W1 … W7 of the language reference, as far as they are known before the plan is applied."""
        return self.graph.warnings

    @property
    def sites(self) -> tuple[str, ...]:
        """Every site that an equation or a tie binds, each once, group by group."""
        return tuple(dict.fromkeys(use.site for _, use in self.graph.uses()))

    @cached_property
    def places(self) -> tuple[str, ...]:
        """Every FQN under which torch registers a shared parameter once the plan is applied, group by group."""
        return tuple(use.place for _, use in self.graph.uses())

    @cached_property
    def links(self) -> tuple[Alias, ...]:
        """The ties of all places, slots included: what holds while the module is tied, and is restored when lost."""
        return tuple(Alias(use.place, group.keeper) for group in self.graph.groups for use in group.uses[1:])

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data; `Plan.from_dict` reads it, here or on another machine."""
        return {
            "version": _VERSION,
            "spec": spec_to_data(self.spec),
            "graph": self.graph.to_dict(),
            "steps": [_write_step(step) for step in self.steps],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` wrote.

        Raises:
            ConfigError: the data is not a plan's, or of a version that this release does not read.
        """
        try:
            version, spec, content = data["version"], data["spec"], data["graph"]
            steps = tuple(_read_step(step) for step in data["steps"])
        except (KeyError, TypeError, ValueError) as error:
            message = f"This is not a saved plan ({type(error).__name__}: {error}). {_PASS}"
            raise ConfigError(message) from error
        if version != _VERSION:
            raise ConfigError(f"Plan version {version!r} is not known; this release reads version {_VERSION}.")
        graph = graph_from_data(content)
        check_content(graph)
        if steps != make_steps(graph):
            raise ConfigError(f"This is not a saved plan: its steps are not those of its graph. {_PASS}")
        return cls(load_spec(spec), graph, steps)

    def __deepcopy__(self, memo: dict[int, object]) -> Plan:
        return self  # frozen all the way down: the copy of a tied module may read the same plan

    def __str__(self) -> str:
        told = f"plan: {_count_steps(self.steps)}\n{self.graph}"
        return told if self.sharding is None else f"{told}\n{self.sharding}"

    def _repr_html_(self) -> str:
        return self.graph.render("html")


def make_steps(graph: SharingGraph) -> tuple[Step, ...]:
    """A parametrization for every derived site, and an alias for every other use but the keeper's.

    Raises:
        ConfigError: a derived site reads a parameter that no group of the graph holds.
    """
    return (
        *_parametrize(graph),
        *(Alias(use.site, group.keeper) for group in graph.groups for use in group.uses[1:] if not use.slot),
    )


def _parametrize(graph: SharingGraph) -> list[Parametrize]:
    keepers = {group.name: group.keeper for group in graph.groups} if graph.derived else {}
    steps: list[Parametrize] = []
    for derived in graph.derived:
        try:
            held = tuple([(slot.name, keepers[slot.parameter]) for slot in derived.expression.slots])
        except KeyError as error:
            lost = f"{derived.site} reads `{error.args[0]}`, which no sharing group of the graph holds."
            raise ConfigError(f"{lost} {_PASS}") from error
        steps.append(Parametrize(derived.site, held))
    return steps


def _count_steps(steps: tuple[Step, ...]) -> str:
    derived = sum(isinstance(step, Parametrize) for step in steps)
    counts = ((len(steps) - derived, "alias", "aliases"), (derived, "parametrization", "parametrizations"))
    told = [f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join(told) or "0 aliases"


def _write_step(step: Step) -> dict[str, Any]:
    if isinstance(step, Alias):
        return {"alias": step.site, "owner": step.owner}
    return {"parametrize": step.site, "slots": [list(slot) for slot in step.slots]}


def _read_step(data: Mapping[str, Any]) -> Step:
    if "alias" in data:
        return Alias(data["alias"], data["owner"])
    return Parametrize(data["parametrize"], tuple((name, keeper) for name, keeper in data["slots"]))
