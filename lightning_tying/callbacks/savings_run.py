"""A trainer and its module in, what the savings report needs to know of the run out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from lightning_tying.lowering.strategy_words import name_strategy
from lightning_tying.reports.optimizer_state import find_rules
from lightning_tying.reports.reckon_run import RunUse
from lightning_tying.reports.traffic import Traffic, Way

_WAYS: dict[str, Way] = {"": "single", "DDP": "ddp", "FSDP2": "fsdp2"}
_WHOLE = ("", "DDP", "FSDP2", "tensor parallel", "FSDP2 and tensor parallel")  # a DTensor tells its whole size


def find_use(trainer: Trainer, module: LightningModule) -> RunUse:
    """Optimizers, strategy and cache of a run whose strategy has been set up."""
    wrapped = trainer.strategy.model
    name = name_strategy(module if wrapped is None else wrapped)
    way = _WAYS.get(name, "unknown")
    traffic = Traffic() if way == "single" else Traffic(way, trainer.world_size, name)
    return RunUse(
        find_rules(trainer.optimizers),
        traffic,
        decodes=any(_decodes(part) for part in module.modules()),
        cache_itemsize=2 if str(trainer.precision).startswith(("bf16", "16")) else None,
        divided=name not in _WHOLE,
    )


def find_inputs(trainer: Trainer, module: LightningModule) -> tuple[Any, ...] | None:
    """The arguments of the module's `example_input_array`, on its device; None where nothing can be counted with them.

    Only in one process or under DDP, uncompiled: elsewhere a forward pass of one process waits for the others.
    """
    example: object = module.example_input_array
    compiled = getattr(module, "_compiler_ctx", None) is not None
    wrapped = trainer.strategy.model
    if example is None or compiled or name_strategy(module if wrapped is None else wrapped) not in ("", "DDP"):
        return None
    moved: object = trainer.strategy.batch_to_device(example)
    return cast("tuple[Any, ...]", moved) if isinstance(moved, tuple) else (moved,)


def read_peak(device: torch.device) -> int | None:
    """The largest number of bytes so far: of tensors on an accelerator, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def list_tensors(inputs: tuple[Any, ...]) -> Iterator[Tensor]:
    """The tensors among arguments, those of a mapping too."""
    for each in inputs:
        if isinstance(each, dict):
            yield from list_tensors(tuple(cast("dict[Any, Any]", each).values()))
        elif isinstance(each, Tensor):
            yield each


def _decodes(module: nn.Module) -> bool:
    """Whether a network keeps keys and values: it makes caches, or `transformers` says that it generates."""
    generates = getattr(module, "can_generate", None)
    return callable(getattr(module, "new_cache", None)) or (callable(generates) and bool(generates()))
