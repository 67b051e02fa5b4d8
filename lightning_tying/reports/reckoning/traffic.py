"""How a run is spread over processes in, the bytes that each process sends per optimizer step out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lightning_tying.reports.reckoning.footprint import Footprint

Way: TypeAlias = Literal["single", "ddp", "fsdp2", "unknown"]


@dataclass(frozen=True)
class Traffic:
    """The strategy of a run, as far as it moves gradients and parameters between processes.

    Args:
        way: `ddp` all-reduces gradients in a ring; `fsdp2` gathers parameters for the forward and again for the
            backward pass and reduce-scatters gradients; `unknown` is everything else.
        processes: that each see a part of the batch.
        name: the strategy's name for the reader.
    """

    way: Way = "single"
    processes: int = 1
    name: str = "one process"

    def reckon(self, footprint: Footprint) -> int | None:
        """Bytes that each process sends in one step of the optimizer, None where that is not known.

        Gradients count in the parameters' dtypes; a compressing communication hook sends less, accumulation under
        `fsdp2` gathers more often.
        """
        if self.processes == 1 or self.way == "single":
            return 0
        if self.way == "unknown":
            return None
        ddp = self.way == "ddp"
        moved = 2 * footprint.gradient_bytes if ddp else 2 * footprint.parameter_bytes + footprint.gradient_bytes
        return moved * (self.processes - 1) // self.processes

    def __str__(self) -> str:
        return f"{self.name}, {self.processes} processes" if self.processes > 1 else self.name
