"""A trainer and its module in, what the savings report needs to know of the run out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

import sys
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from lightning_tying.lowering.strategy_words import name_strategy
from lightning_tying.reports.reckoning.count_flops import recount
from lightning_tying.reports.reckoning.optimizer_state import find_rules
from lightning_tying.reports.reckoning.per_token import PerToken
from lightning_tying.reports.reckoning.reckon_run import RunUse
from lightning_tying.reports.reckoning.traffic import Traffic, Way

_WAYS: dict[str, Way] = {"": "single", "DDP": "ddp", "FSDP2": "fsdp2"}
_WHOLE = ("", "DDP", "FSDP2", "tensor parallel", "FSDP2 and tensor parallel")  # a DTensor tells its whole size


def find_use(trainer: Trainer, module: LightningModule) -> RunUse:
    """Optimizers, strategy and cache of a run whose strategy has been set up."""
    name = _name_strategy(trainer, module)
    way = _WAYS.get(name, "unknown")
    traffic = Traffic() if way == "single" else Traffic(way, trainer.world_size, name)
    return RunUse(
        find_rules(trainer.optimizers),
        traffic,
        decodes=decodes_text(module),
        cache_itemsize=reckon_cache_itemsize(str(trainer.precision)),
        divided=name not in _WHOLE,
    )


def count_per_token(trainer: Trainer, module: LightningModule, reckoned: PerToken) -> PerToken:
    """Count the operations of a forward pass of the module's `example_input_array`, where it has one.

    Only in one process or under DDP, uncompiled: elsewhere a forward pass of one process waits for the others. What
    cannot be counted stays as it was reckoned.
    """
    example = cast(Any, module.example_input_array)
    compiled = getattr(module, "_compiler_ctx", None) is not None
    if example is None or compiled or _name_strategy(trainer, module) not in ("", "DDP"):
        return reckoned
    with trainer.precision_plugin.forward_context():
        return recount(module, trainer.strategy.batch_to_device(example), reckoned)


def read_peak(device: torch.device) -> int | None:
    """The largest number of bytes so far: of tensors on an accelerator, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def decodes_text(module: nn.Module) -> bool:
    """Whether a network inside keeps keys and values: it makes caches, or `transformers` says that it generates."""
    return any(_decodes(part) for part in module.modules())


def reckon_cache_itemsize(precision: str) -> int | None:
    """Bytes of one cell of a cache under a precision of Lightning's; None for those of the projections."""
    return 2 if precision.startswith(("bf16", "16")) else None


def _decodes(module: nn.Module) -> bool:
    generates = getattr(module, "can_generate", None)
    return callable(getattr(module, "new_cache", None)) or (callable(generates) and bool(generates()))


def _name_strategy(trainer: Trainer, module: LightningModule) -> str:
    wrapped = trainer.strategy.model
    return name_strategy(module if wrapped is None else wrapped)
