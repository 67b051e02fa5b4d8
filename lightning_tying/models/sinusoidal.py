"""Positions in; sinusoidal position vectors out (Vaswani et al. 2017, 3.5): no parameters and no longest text."""

import torch
from torch import Tensor


def sinusoidal_positions(positions: Tensor, dim: int) -> Tensor:
    """Sines in the first half of the channels, cosines in the second.

    Args:
        positions: Whole numbers [T].
        dim: Width of a vector, even.

    Returns:
        float32 [T, dim].
    """
    channels = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions.float()[:, None] * 10_000.0 ** (-channels / dim)
    return torch.cat((angles.sin(), angles.cos()), dim=-1)
