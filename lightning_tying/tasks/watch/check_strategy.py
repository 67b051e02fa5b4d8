"""A tied LightningModule whose strategy is known in; nothing out, or a refusal before the strategy wraps it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.state import find_tied
from lightning_tying.parallel.facts import RunFacts
from lightning_tying.parallel.refusals.deepspeed import check_deepspeed
from lightning_tying.parallel.refusals.fsdp1 import check_fsdp1_policy
from lightning_tying.parallel.refusals.pipeline import check_pipeline
from lightning_tying.tasks.watch.run_facts import find_facts

_AVERAGES = ("WeightAveraging", "StochasticWeightAveraging")


def check_strategy(module: nn.Module) -> None:
    """Refuse a run in which the strategy would part what the spec ties.

    Does nothing without a trainer, or where nothing is tied. To be called when the network is there and before the
    strategy wraps or shards it; calling it again costs little.

    Args:
        module: a LightningModule.

    Raises:
        ApplyError: with the group or the setting, the reason and what to write instead.
    """
    trainer: Any = getattr(module, "_trainer", None)  # the public name raises where there is none
    tied = list(find_tied(module))
    if trainer is None or not tied:
        return
    facts = find_facts(trainer)
    strategy = trainer.strategy
    check_pipeline(module, facts)
    _check_averages(facts)
    if facts.strategy == "ddp":
        _check_static_graph(strategy, facts)
    for _, network, state in tied:
        if facts.strategy == "fsdp1":
            options: Mapping[str, Any] = getattr(strategy, "kwargs", {})
            policy, ignored = options.get("auto_wrap_policy"), options.get("ignored_modules") or ()
            check_fsdp1_policy(module, state.plan.graph, policy, ignored, tied=network)
        if facts.strategy == "deepspeed":
            check_deepspeed(module, state.plan.graph, _zero_stage(strategy), tied=network)


def _check_averages(facts: RunFacts) -> None:
    """Averages copy the module; a sharded one cannot be copied."""
    if facts.strategy not in ("fsdp2", "fsdp1", "deepspeed"):
        return
    found = next((name for name in _AVERAGES if name in facts.callbacks), None)
    if found is not None:
        raise ApplyError(
            f"A callback of the kind {found} copies the module, and torch refuses to copy one that {facts.strategy} "
            "has sharded: the copy would hold the same parts. Take the callback out, or use DDP."
        )


def _check_static_graph(strategy: object, facts: RunFacts) -> None:
    options = cast(
        "Mapping[str, Any]", getattr(strategy, "_ddp_kwargs", {})
    )  # DDPStrategy keeps them under no other name
    if options.get("static_graph") and facts.accumulate > 1:
        raise ApplyError(
            "DDP with static_graph=True fails inside torch when batches are accumulated (its first step counts the "
            "uses of each parameter, and accumulation skips that step). Leave out static_graph or "
            "accumulate_grad_batches."
        )


def _zero_stage(strategy: object) -> int:
    config = getattr(strategy, "config", None)
    section: object = (
        cast("Mapping[str, Any]", config).get("zero_optimization") if isinstance(config, Mapping) else None
    )
    stage = cast("Mapping[str, Any]", section).get("stage", 0) if isinstance(section, Mapping) else 0
    return stage if isinstance(stage, int) else 0
