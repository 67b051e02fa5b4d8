"""The metadata of tensors in, what they take while a model trains out: cells and bytes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lightning_tying.graph.parts import TensorMeta
from lightning_tying.reports.reckoning.optimizer_state import StateRule


@dataclass(frozen=True)
class Footprint:
    """What parameters take.

    Args:
        parameters: their cells.
        trainable: those of them that train.
        parameter_bytes: of all of them.
        gradient_bytes: of those that train, in the parameters' dtypes.
        state_cells: of the optimizer's state, counters left out.
        state_bytes: the same in bytes.
    """

    parameters: int = 0
    trainable: int = 0
    parameter_bytes: int = 0
    gradient_bytes: int = 0
    state_cells: int = 0
    state_bytes: int = 0

    @property
    def checkpoint_bytes(self) -> int:
        """Bytes of parameters and optimizer state in a checkpoint; buffers and counters, which stay, left out."""
        return self.parameter_bytes + self.state_bytes

    def __add__(self, other: Footprint) -> Footprint:
        return Footprint(
            self.parameters + other.parameters,
            self.trainable + other.trainable,
            self.parameter_bytes + other.parameter_bytes,
            self.gradient_bytes + other.gradient_bytes,
            self.state_cells + other.state_cells,
            self.state_bytes + other.state_bytes,
        )

    def __sub__(self, other: Footprint) -> Footprint:
        return self + -1 * other

    def __rmul__(self, times: int) -> Footprint:
        return Footprint(
            times * self.parameters,
            times * self.trainable,
            times * self.parameter_bytes,
            times * self.gradient_bytes,
            times * self.state_cells,
            times * self.state_bytes,
        )

    def to_dict(self) -> dict[str, int]:
        """Plain content, `checkpoint_bytes` included."""
        return {**vars(self), "checkpoint_bytes": self.checkpoint_bytes}


def reckon_footprint(meta: TensorMeta, rule: StateRule | None) -> Footprint:
    """What one parameter takes.

    Args:
        meta: of the parameter.
        rule: what the optimizer keeps for it; None (not known yet) counts as nothing.
    """
    dtype = getattr(torch, meta.dtype, None)
    itemsize = dtype.itemsize if isinstance(dtype, torch.dtype) else meta.itemsize
    size = meta.numel * itemsize
    if not meta.trainable:
        return Footprint(meta.numel, 0, size)
    cells, state_bytes = (0, 0) if rule is None else rule.reckon(meta.shape, itemsize)
    return Footprint(meta.numel, meta.numel, size, size, cells, state_bytes)
