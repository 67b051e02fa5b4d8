"""Parameters before and after an optimizer step in; how much of its size each one moved out."""

# pyright: reportUnknownMemberType=false
# torch is typed in part only.

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, distributed

from lightning_tying.reports.stability.measures import update_to_weight

_MOST = 1 << 16  # cells of a parameter that are looked at: of a larger one evenly spaced ones


class Movement:
    """Remembers some cells of each parameter.

    Args:
        parameters: by the names of their groups, before the step; of sharded ones each process looks at its shard.
    """

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.parameters = dict(parameters)
        self._before = {name: _take_cells(each).clone() for name, each in self.parameters.items()}

    def measure(self) -> dict[str, float]:
        """‖Δθ‖ / ‖θ‖ of each group, after the step; a collective where there are several processes."""
        if not self._before:
            return {}
        squares = torch.stack(
            [
                torch.stack([(_take_cells(after) - before).double().square().sum(), before.double().square().sum()])
                for before, after in zip(self._before.values(), self.parameters.values(), strict=True)
            ]
        )
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            distributed.all_reduce(squares)  # without shards all processes say the same, and the ratio stays
        moved = cast("list[list[float]]", squares.sqrt().tolist())
        ratios = {name: update_to_weight(*pair) for name, pair in zip(self._before, moved, strict=True)}
        return {name: ratio for name, ratio in ratios.items() if math.isfinite(ratio)}


def _take_cells(parameter: Tensor) -> Tensor:
    take_shard: Any = getattr(parameter, "to_local", None)  # of a DTensor; importing it takes long
    local: Tensor = parameter if take_shard is None else take_shard()
    flat = local.detach().flatten()
    return flat[:: max(1, math.ceil(flat.numel() / _MOST))]
