"""The ways of training that the matrix compares, one entry each: processes, strategy, precision, and a tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning.pytorch.strategies import ModelParallelStrategy


@dataclass(frozen=True)
class Mode:
    """A column of the table.

    Args:
        title: for the table.
        tolerance: the largest relative difference from the reference that passes.
        reason: why it is not 0.
        processes: how many, each with its part of the same global batch.
        strategy: Lightning's name of it, or `fsdp2`, with `sizes`.
        sizes: data-parallel and tensor-parallel processes of `fsdp2`.
        precision: Lightning's word.
        accumulate: micro batches of a step.
        compiled: whether the task goes through `torch.compile` (backend `aot_eager`).
        lazy: whether the network is built and tied on the meta device by `configure_model`.
        reference: the mode that it is compared with. One that is lazy starts from the reference's first values, unless
            it shares with it how it draws its own.
    """

    title: str
    tolerance: float
    reason: str
    processes: int = 1
    strategy: str = "auto"
    sizes: tuple[int, int] = (1, 1)
    precision: str = "32-true"
    accumulate: int = 1
    compiled: bool = False
    lazy: bool = False
    reference: str = "single"

    def trainer_options(self) -> dict[str, Any]:
        """Arguments of Lightning's Trainer."""
        data, tensor = self.sizes
        strategy: Any = self.strategy
        if strategy == "fsdp2":
            strategy = ModelParallelStrategy(data, tensor, save_distributed_checkpoint=False)
        return {
            "strategy": strategy,
            "devices": self.processes,
            "precision": self.precision,
            "accumulate_grad_batches": self.accumulate,
        }


SUMS = "sums over the batch are added in another order"
REFERENCES: dict[str, Mode] = {
    "single": Mode("1 process", 0.0, "the same operations on the same numbers"),
    "drawn": Mode("1 process, meta", 0.0, "", lazy=True, reference="drawn"),
}
MODES: dict[str, Mode] = {
    "single": REFERENCES["single"],
    "ddp_spawn": Mode("DDP ×2 spawn", 1e-5, SUMS, 2, "ddp_spawn"),
    "ddp": Mode("DDP ×2 popen", 1e-5, SUMS, 2, "ddp"),
    "fsdp2": Mode("FSDP2 ×2", 1e-5, SUMS, 2, "fsdp2", (2, 1)),
    "fsdp2_lazy": Mode("FSDP2 ×2, meta", 1e-5, SUMS, 2, "fsdp2", (2, 1), lazy=True, reference="drawn"),
    "tp": Mode("TP ×2", 1e-5, "sums over split columns are added in another order", 2, "fsdp2", (1, 2)),
    "2d": Mode("2-D ×4", 1e-5, "as FSDP2 and TP", 4, "fsdp2", (2, 2)),
    "compile": Mode("compile", 1e-5, "operations may be fused; here they are not", compiled=True),
    "bf16": Mode("bf16-mixed", 0.1, "products have 8 bits of mantissa", precision="bf16-mixed"),
    "accumulate": Mode("accumulate 2 + clip", 1e-5, SUMS, accumulate=2),
    "lazy": Mode("meta, lazy", 0.0, "the same operations on the same numbers", lazy=True),
}
