"""A trainer in, what strategies need to know of its run out; classes and their subclasses count alike."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from typing import Any, cast

from torch import nn

from lightning_tying.parallel.facts import RunFacts, StrategyKind

# By name, so that `lightning.pytorch` and `pytorch_lightning` are alike and none has to be imported.
_KINDS: dict[str, StrategyKind] = {
    "ModelParallelStrategy": "fsdp2",
    "FSDPStrategy": "fsdp1",
    "DeepSpeedStrategy": "deepspeed",
    "DDPStrategy": "ddp",
}
_PIPELINE = ("PipelineStage", "_PipelineStage", "_PipelineStageBase")  # what torch.distributed.pipelining makes


def find_facts(trainer: object) -> RunFacts:
    """What a trainer of Lightning is going to do.

    Args:
        trainer: of `lightning.pytorch` or `pytorch_lightning`.
    """
    run = cast(Any, trainer)
    strategy = run.strategy
    kind = find_kind(strategy)
    tensor = _find_size(strategy, "_tensor_parallel_size") if kind == "fsdp2" else 1
    return RunFacts(
        strategy=kind,
        data_parallel=max(1, int(run.world_size) // tensor),
        tensor_parallel=tensor,
        pipeline=2 if kind == "pipeline" else 1,
        precision=str(run.precision),
        compiled=getattr(run.lightning_module, "_compiler_ctx", None) is not None,
        nodes=int(run.num_nodes),
        accelerator=_find_device(strategy),
        accumulate=int(run.accumulate_grad_batches),
        callbacks=tuple(dict.fromkeys(name for each in run.callbacks for name in _class_names(each))),
    )


def find_kind(strategy: object) -> StrategyKind:
    """The kind of one of Lightning's strategies; `single` for any that has one process or is not known."""
    model = getattr(strategy, "model", None)
    if isinstance(model, nn.Module) and any(kind in _PIPELINE for kind in map(_class_name, model.modules())):
        return "pipeline"
    for name in _class_names(strategy):
        if name in _KINDS:
            return _KINDS[name]
    return "single"


def _find_size(strategy: object, name: str) -> int:
    mesh = getattr(strategy, "_device_mesh", None)
    if mesh is not None:
        return int(mesh["tensor_parallel"].size())
    written = getattr(strategy, name, 1)
    return written if isinstance(written, int) else int(getattr(strategy, "num_processes", 1))  # "auto"


def _find_device(strategy: object) -> str:
    return str(cast(Any, strategy).root_device.type)


def _class_names(thing: object) -> tuple[str, ...]:
    return tuple(kind.__name__ for kind in type(thing).__mro__ if kind is not object)


def _class_name(thing: object) -> str:
    return type(thing).__name__
