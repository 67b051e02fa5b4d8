"""A gradient in, a short random projection of it out: the inner products of projections are those of gradients, nearly.

A CountSketch: every cell has a random sign and a random place among `size`; what comes to one place is added up. The
error of an inner product has mean 0 and a variance of at most 2/size · ‖x‖² ‖y‖²: it takes that two cells meet with a
probability of at most 1/size and that the signs are independent. Places come from one permutation of a block of
cells, turned by a random number for each block, so that adding up is a sum over rows.
"""

from __future__ import annotations

import math
import zlib
from functools import lru_cache

import torch
from torch import Tensor

_BLOCK = 1 << 17  # cells that share a permutation
_BITS = 8


def project(gradient: Tensor, size: int, name: str) -> Tensor:
    """The projection.

    Args:
        gradient: any shape; one of at most `size` cells is its own projection, with zeros after it.
        size: of the projection, a multiple of 8.
        name: of the shared parameter; with the same name, size and shape the projection is the same, in every process
            and at every step.

    Returns:
        [size], float64, on the gradient's device.
    """
    flat = gradient.detach().reshape(-1)
    result = torch.zeros(size, dtype=torch.float64, device=flat.device)
    if flat.numel() <= size:
        result[: flat.numel()] = flat
        return result
    length = min(_BLOCK // size * size, math.ceil(flat.numel() / size) * size)
    places = _permute(length, size, str(flat.device))
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    for start in range(0, flat.numel(), length):
        block = flat[start : start + length]
        if block.numel() < length:
            block = torch.nn.functional.pad(block, (0, length - block.numel()))
        signs = _draw_signs(length, generator, flat.device)
        rows = (block * signs).index_select(0, places).view(-1, size)
        turn = int(torch.randint(size, (), generator=generator))
        result += rows.sum(0, dtype=torch.float64).roll(turn)
    return result


def projection_error(cells: int, size: int) -> float:
    """The standard deviation of the error of a cosine of projections, at most; 0 where nothing is projected."""
    return 0.0 if cells <= size else math.sqrt(2 / size)


@lru_cache(maxsize=16)
def _permute(length: int, size: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(length * 31 + size)
    return torch.randperm(length, generator=generator, dtype=torch.int32).to(device)


def _draw_signs(length: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Independent signs, as int8; eight of them from every random number."""
    numbers = torch.randint(1 << _BITS, (length // _BITS,), generator=generator).to(device)
    return _sign_table(str(device)).index_select(0, numbers).view(-1)


@lru_cache(maxsize=4)
def _sign_table(device: str) -> Tensor:
    numbers = torch.arange(1 << _BITS)[:, None]
    bits = (numbers >> torch.arange(_BITS)[None, :]) & 1
    return (2 * bits - 1).to(torch.int8).to(device)
