"""What strategies need to know of a run, as frozen data: kind, sizes of its meshes, precision; knows no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from lightning_tying.errors import ConfigError

StrategyKind: TypeAlias = Literal["single", "ddp", "fsdp2", "fsdp1", "deepspeed", "pipeline"]
STRATEGIES: tuple[StrategyKind, ...] = get_args(StrategyKind)


@dataclass(frozen=True)
class RunFacts:
    """How a module is going to be run.

    Args:
        strategy: what wraps or shards it; `fsdp2` is Lightning's `ModelParallelStrategy`, tensor parallel included.
        data_parallel: processes that each see a part of the batch.
        tensor_parallel: processes that each compute a part of a layer.
        pipeline: stages, each with a part of the layers.
        precision: Lightning's word: `32-true`, `bf16-mixed`, `16-mixed`, `bf16-true`.
        compiled: whether the module goes through `torch.compile`.
        nodes: machines.
        accelerator: `cpu`, `cuda`, `mps`.
        accumulate: batches for one step of the optimizer.
        callbacks: class names of the run's callbacks, base classes included.

    Raises:
        ConfigError: an unknown strategy, or a size below 1.
    """

    strategy: StrategyKind = "single"
    data_parallel: int = 1
    tensor_parallel: int = 1
    pipeline: int = 1
    precision: str = "32-true"
    compiled: bool = False
    nodes: int = 1
    accelerator: str = "cpu"
    accumulate: int = 1
    callbacks: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise ConfigError(f"The strategy {self.strategy!r} is not known. Known: {', '.join(STRATEGIES)}.")
        for name in ("data_parallel", "tensor_parallel", "pipeline", "nodes", "accumulate"):
            size: object = getattr(self, name)
            if not isinstance(size, int) or size < 1:
                raise ConfigError(f"{name} is a number of processes, stages or batches, 1 or more, not {size!r}.")

    @property
    def processes(self) -> int:
        """How many processes the run has."""
        return self.data_parallel * self.tensor_parallel * self.pipeline

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain content."""
        return {**asdict(self), "callbacks": list(self.callbacks)}

    def __str__(self) -> str:
        sizes = {"data": self.data_parallel, "tensor": self.tensor_parallel, "pipeline": self.pipeline}
        told = ", ".join(f"{size} {name} parallel" for name, size in sizes.items() if size > 1)
        return f"{self.strategy}{f' ({told})' if told else ''}, {self.precision}"
