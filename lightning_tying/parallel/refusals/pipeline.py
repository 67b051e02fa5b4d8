"""A tied module and the facts of its run in; nothing out, or a refusal when its layers are to be parted into stages."""

from __future__ import annotations

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.resolve import walk_modules
from lightning_tying.parallel.facts import RunFacts

_REASON = (
    "Pipeline parallelism gives every stage its own copy of a shared parameter, whose gradients nobody adds up. "
    "Run tied models with FSDP2 (strategy=ModelParallelStrategy()), tensor parallel or DDP, or untie them."
)


def check_pipeline(root: nn.Module, facts: RunFacts) -> None:
    """Refuse pipeline parallelism.

    Args:
        root: the module that is going to be run.
        facts: of the run.

    Raises:
        ApplyError: the facts say so, or there is a stage of `torch.distributed.pipelining` in the module.
    """
    if facts.strategy == "pipeline" or facts.pipeline > 1:
        raise ApplyError(_REASON)
    for path, module in walk_modules(root):
        for name, thing in (("", module), *vars(module).items()):
            if _is_stage(thing):
                where = ".".join(part for part in (path, name) if part) or "The module"
                raise ApplyError(f"{where} is a {type(thing).__name__}. {_REASON}")


def _is_stage(thing: object) -> bool:
    return any(kind.__module__.startswith("torch.distributed.pipelining") for kind in type(thing).__mro__)
