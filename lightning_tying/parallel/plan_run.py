"""A graph, a module and the facts of a run in; how the strategy divides the module out, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.parallel.facts import RunFacts
from lightning_tying.parallel.refusals.deepspeed import check_deepspeed
from lightning_tying.parallel.refusals.pipeline import check_pipeline
from lightning_tying.parallel.sharding.sharding_plan import ShardingPlan, ShardingUnit
from lightning_tying.parallel.sharding.units import plan_units
from lightning_tying.parallel.sharding.written_units import WrittenUnits
from lightning_tying.parallel.tensor.plan import TensorParallelPlan, plan_tensor_parallel

_TOLD = {
    "single": "one process holds the whole module",
    "ddp": "every process holds the whole module; gradients of shared parameters are averaged like all others",
    "fsdp1": "the wrapping policy decides; it is checked at fit start, before it wraps",
    "deepspeed": "DeepSpeed divides the parameters; each shared one is one of them",
}


@dataclass(frozen=True)
class RunPlan:
    """How a run divides a module.

    Args:
        facts: of the run.
        sharding: the units of FSDP2; None for other strategies.
        tensor_parallel: who computes which part of a layer; None where nobody does.
    """

    facts: RunFacts
    sharding: ShardingPlan | None = None
    tensor_parallel: TensorParallelPlan | None = None

    @property
    def units(self) -> tuple[ShardingUnit, ...]:
        """The units of FSDP2, in the order in which they are sharded."""
        return () if self.sharding is None else self.sharding.units

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data."""
        content: dict[str, Any] = {"facts": self.facts.to_dict()}
        if self.tensor_parallel is not None:
            content["tensor_parallel"] = self.tensor_parallel.to_dict()
        return content if self.sharding is None else {**content, **self.sharding.to_dict()}

    def __str__(self) -> str:
        parts = [str(part) for part in (self.tensor_parallel, self.sharding) if part is not None]
        return "\n".join([f"strategy: {self.facts}", *(parts or [f"    {_TOLD[self.facts.strategy]}"])])


def plan_run(graph: SharingGraph, module: nn.Module, facts: RunFacts, units: WrittenUnits | None = None) -> RunPlan:
    """Check what a strategy would do with the sharing groups, and plan what it divides.

    Args:
        graph: of the plan that `module` is tied by, or is going to be.
        module: that the graph's FQNs are relative to; on any device.
        facts: of the run.
        units: written by hand, as for `plan_units`.

    Raises:
        ApplyError: the run would part a sharing group, or the written units do not fit.
        ConfigError: there is no way to divide this module's layers.
    """
    check_pipeline(module, facts)
    if facts.strategy == "deepspeed":
        check_deepspeed(module, graph, stage=0)
    if facts.strategy != "fsdp2":
        return RunPlan(facts)
    tensor = None
    if facts.tensor_parallel > 1:
        tensor = plan_tensor_parallel(graph, module, size=facts.tensor_parallel)
    sharded = facts.data_parallel > 1 or facts.tensor_parallel == 1
    return RunPlan(facts, plan_units(graph, module, units) if sharded else None, tensor)
