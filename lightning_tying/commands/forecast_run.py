"""A module on the meta device and the trainer's options in; what sharing is going to save in that run out."""

# pyright: reportUnknownMemberType=false
# Lightning and jsonargparse are typed in part only.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, cast

import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch import LightningModule
from torch.optim import Optimizer

from lightning_tying.callbacks.savings.run import decodes_text, reckon_cache_itemsize
from lightning_tying.commands.strategy_words import find_word
from lightning_tying.errors import ConfigError
from lightning_tying.parallel.facts import RunFacts
from lightning_tying.reports.reckoning.count_flops import recount
from lightning_tying.reports.reckoning.optimizer_state import StateRules, find_rules
from lightning_tying.reports.reckoning.reckon_run import RunUse, reckon_run
from lightning_tying.reports.reckoning.run_savings import RunSavings
from lightning_tying.reports.reckoning.traffic import Traffic, Way
from lightning_tying.tasks.optimizers.optimization import make_optimizer
from lightning_tying.tasks.task import Task

_WAYS: dict[str, tuple[Way, str]] = {"ddp": ("ddp", "DDP"), "fsdp2": ("fsdp2", "FSDP2")}
_OTHERS = {"fsdp1": "FSDP1", "deepspeed": "DeepSpeed", "pipeline": "pipeline"}
_HALVES = {"bf16-true": torch.bfloat16, "16-true": torch.float16, "64-true": torch.float64, "64": torch.float64}


class Options(Protocol):
    """A mapping, or a namespace of jsonargparse."""

    def get(self, key: str, /) -> Any: ...


def forecast_run(module: LightningModule, trainer: Options | None, facts: RunFacts | None) -> RunSavings:
    """What `ParameterSavings` is going to say when the run starts.

    Args:
        module: tied; its optimizer is made for what it keeps. It may be on the meta device. Parameters get the dtype
            of a precision like `bf16-true`, as in the run.
        trainer: the `trainer` options of the run config; None for those of Lightning.
        facts: of a strategy on the command line, in place of the config's.
    """
    options: Options = {} if trainer is None else trainer
    precision = facts.precision if facts is not None else str(options.get("precision") or "32-true")
    if precision in _HALVES:
        module.to(_HALVES[precision])
    rules = _find_rules(module)
    use = RunUse(
        rules,
        find_traffic(options) if facts is None else _spread(facts.strategy, facts.data_parallel, facts.tensor_parallel),
        decodes=decodes_text(module),
        cache_itemsize=reckon_cache_itemsize(precision),
    )
    run = reckon_run(module, use)
    example = cast(Any, module.example_input_array)
    if example is None:
        return run
    device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
    return replace(run, per_token=recount(module, move_data_to_device(example, device), run.per_token))


def find_traffic(options: Options) -> Traffic:
    """How the options of a trainer spread a run over processes.

    Args:
        options: `strategy`, `devices`, `num_nodes`, `accelerator`; what is missing is as for Lightning.
    """
    processes = _count_devices(options.get("devices"), options.get("accelerator")) * int(options.get("num_nodes") or 1)
    given = options.get("strategy") or "auto"
    if isinstance(given, str):
        kind = "ddp" if given == "auto" and processes > 1 else find_word(given)
        return _spread(kind, processes, 1)
    path = str(_get(given, "class_path") or type(given).__name__)
    tensor = _get(_get(given, "init_args"), "tensor_parallel_size") or 1
    kind = find_word(path.rpartition(".")[2])
    if kind == "fsdp2" and tensor != 1:
        return Traffic("unknown", processes, "tensor parallel") if processes > 1 else Traffic()
    return _spread(kind, processes, 1)


def _spread(kind: str | None, processes: int, tensor: int) -> Traffic:
    total = processes * tensor
    if kind == "single" or total == 1:
        return Traffic()
    if tensor > 1:
        name = "FSDP2 and tensor parallel" if processes > 1 else "tensor parallel"
        return Traffic("unknown", total, name)
    way, name = _WAYS.get(kind or "", ("unknown", _OTHERS.get(kind or "", "another strategy")))
    return Traffic(way, total, name)


def _count_devices(devices: Any, accelerator: Any) -> int:
    """How many processes a machine has; where that depends on the machine, as many as this one would have."""
    if isinstance(devices, list | tuple):
        return max(1, len(cast("list[object]", devices)))
    if isinstance(devices, str) and "," in devices:
        return len([part for part in devices.split(",") if part.strip()])
    text = str(devices)
    if text.isdecimal() and int(text):
        return int(text)
    on_gpu = str(accelerator) in ("None", "auto", "gpu", "cuda")
    return max(1, torch.cuda.device_count()) if on_gpu else 1


def _find_rules(module: LightningModule) -> StateRules:
    """What the run's optimizers keep; not known for an optimizer that cannot be made without the run."""
    made = _make_optimizers(module)
    if made is None:
        return {id(parameter): None for parameter in module.parameters() if parameter.requires_grad}
    return find_rules(made)


def _make_optimizers(module: LightningModule) -> list[Optimizer] | None:
    try:
        if isinstance(module, Task):
            return [make_optimizer(module, module.make_optimizer)]  # schedules ask the trainer for the number of steps
        return list(_list_optimizers(module.configure_optimizers()))
    except ConfigError:
        raise
    except Exception:  # a module's own method may need its trainer, its data or a GPU in any way
        return None


def _list_optimizers(made: object) -> Iterator[Optimizer]:
    if isinstance(made, Optimizer):
        yield made
    elif isinstance(made, Mapping):
        yield from _list_optimizers(cast("Mapping[str, object]", made).get("optimizer"))
    elif isinstance(made, list | tuple):
        for part in cast("list[object]", made):
            yield from _list_optimizers(part)


def _get(content: Any, name: str) -> Any:
    return content.get(name) if callable(getattr(content, "get", None)) else getattr(content, name, None)
