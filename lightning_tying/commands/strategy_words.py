"""Words of the `plan` command in, the facts of the run that they describe out, and the units file."""

from __future__ import annotations

from lightning_tying.commands.options import take_text
from lightning_tying.errors import ConfigError
from lightning_tying.parallel.facts import RunFacts, StrategyKind

# Lightning's own words for `trainer.strategy`, and ours.
_WORDS: dict[str, StrategyKind] = {
    "auto": "single",
    "single": "single",
    "ddp": "ddp",
    "ddp_spawn": "ddp",
    "ddp_fork": "ddp",
    "ddp_notebook": "ddp",
    "ddp_find_unused_parameters_true": "ddp",
    "fsdp2": "fsdp2",
    "model_parallel": "fsdp2",
    "fsdp": "fsdp1",
    "fsdp1": "fsdp1",
    "deepspeed": "deepspeed",
    "deepspeed_stage_1": "deepspeed",
    "deepspeed_stage_2": "deepspeed",
    "deepspeed_stage_3": "deepspeed",
    "pipeline": "pipeline",
}


_CLASSES: dict[str, StrategyKind] = {
    "SingleDeviceStrategy": "single",
    "DDPStrategy": "ddp",
    "ModelParallelStrategy": "fsdp2",
    "FSDPStrategy": "fsdp1",
    "DeepSpeedStrategy": "deepspeed",
}


def find_word(word: str) -> StrategyKind | None:
    """The kind of a strategy by Lightning's word for it or the name of its class; None where that is not known."""
    return _CLASSES.get(word) or _WORDS.get(word)


def take_facts(words: list[str]) -> tuple[list[str], RunFacts | None, str | None]:
    """Take `--strategy`, `--devices`, `--tensor_parallel_size`, `--precision` and `--units` out of the words.

    Returns:
        The other words, the facts (None without `--strategy`), and the units file.

    Raises:
        ConfigError: an unknown strategy, or numbers that do not fit.
    """
    words, strategy = take_text(words, "--strategy")
    if strategy is None:
        words, units = take_text(words, "--units")
        if units is not None:
            raise ConfigError("--units says what FSDP2 gathers together: give --strategy fsdp2 as well.")
        return words, None, None
    if strategy not in _WORDS:
        raise ConfigError(f"--strategy is one of {', '.join(_WORDS)}, not {strategy or 'nothing'}.")
    kind = _WORDS[strategy]
    words, devices = _take_number(words, "--devices", 1 if kind == "single" else 2)
    words, tensor = _take_number(words, "--tensor_parallel_size", 1)
    words, precision = take_text(words, "--precision")
    words, units = take_text(words, "--units")
    if devices % tensor:
        raise ConfigError(f"--devices {devices} cannot be divided into groups of --tensor_parallel_size {tensor}.")
    if kind != "fsdp2" and (units is not None or tensor > 1):
        raise ConfigError(f"--units and --tensor_parallel_size belong to --strategy fsdp2, not to {strategy}.")
    facts = RunFacts(
        strategy=kind,
        data_parallel=1 if kind == "pipeline" else devices // tensor,
        tensor_parallel=tensor,
        pipeline=devices if kind == "pipeline" else 1,
        precision=precision or "32-true",
    )
    return words, facts, units


def _take_number(words: list[str], name: str, default: int) -> tuple[list[str], int]:
    words, text = take_text(words, name)
    if text is None:
        return words, default
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"{name} is a number of processes, 1 or more, not {text}.")
    return words, int(text)
