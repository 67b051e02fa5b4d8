"""Positions in; the rotations of rotary position embedding out, and queries and keys turned by them.

Source: Su et al. 2021, "RoFormer", eq. 34, in the layout of Llama: channel i is turned together with channel i + dim/2.
"""

import torch
from torch import Tensor

Rotation = tuple[Tensor, Tensor]


def make_rotation(positions: Tensor, dim: int, base: float = 10_000.0) -> Rotation:
    """Cosines and sines of the angles by which the channels of a head are turned.

    They are computed in every forward and kept in no buffer: a buffer would have to survive the meta device and
    would follow the module into half precision.

    Args:
        positions: Whole numbers [T].
        dim: Channels of a head, even.
        base: The longest wave length is 2π·base.

    Returns:
        Cosines and sines, float32 [T, dim / 2].
    """
    channels = torch.arange(0, dim, 2, device=positions.device, dtype=torch.float32)
    angles = positions.float()[:, None] * base ** (-channels / dim)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the channels of `x` [B, heads, T, dim] by `rotation`; shape and dtype stay."""
    cosine, sine = (part.to(x.dtype) for part in rotation)
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cosine - right * sine, left * sine + right * cosine), dim=-1)
