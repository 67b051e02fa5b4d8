"""A gradient in, a short random projection of it out: the inner products of projections are those of gradients, nearly.

A CountSketch: every cell has a random sign and a random place among `size`; what comes to one place is added up. The
error of an inner product has mean 0 and a variance of at most 2/size · ‖x‖² ‖y‖²: it takes that two cells meet with a
probability of at most 1/size and that the signs are independent. Places come from one permutation for all blocks of
cells, turned by a random number for each block, so that adding up is a sum over rows. The projection depends on
nothing but `size` and how many cells there are, so it is the same in every process and at every step.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

_BLOCK = 1 << 16  # cells that share a permutation
_BITS = 8
_KEPT = 64  # blocks whose signs are kept: one byte for each cell


def project(gradient: Tensor, size: int) -> Tensor:
    """The projection.

    Args:
        gradient: any shape; one of at most `size` cells is its own projection, with zeros after it.
        size: of the projection, a multiple of 8, at most 65,536.

    Returns:
        [size], float64, on the gradient's device.
    """
    flat = gradient.detach().reshape(-1)
    result = torch.zeros(size, dtype=torch.float64, device=flat.device)
    if flat.numel() <= size:
        result[: flat.numel()] = flat
        return result
    length = min(_BLOCK // size, math.ceil(flat.numel() / size)) * size
    device = str(flat.device)
    places = _permute(length, size, device)
    for number, start in enumerate(range(0, flat.numel(), length)):
        block = flat[start : start + length]
        if block.numel() < length:
            block = torch.nn.functional.pad(block, (0, length - block.numel()))
        signs, turn = _draw_block(number, length, size, device)
        rows = (block * signs).index_select(0, places).view(-1, size)
        result += rows.sum(0, dtype=torch.float64).roll(turn)
    return result


def projection_error(cells: int, size: int) -> float:
    """The standard deviation of the error of a cosine of projections, at most; 0 where nothing is projected."""
    return 0.0 if cells <= size else math.sqrt(2 / size)


@lru_cache(maxsize=16)
def _permute(length: int, size: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.randperm(length, generator=generator, dtype=torch.int32).to(device)


@lru_cache(maxsize=_KEPT)
def _draw_block(number: int, length: int, size: int, device: str) -> tuple[Tensor, int]:
    """Independent signs for the cells of a block, as int8, and by how many places it is turned."""
    generator = torch.Generator().manual_seed(number + 1)
    numbers = torch.randint(1 << _BITS, (length // _BITS, 1), generator=generator)
    bits = (numbers >> torch.arange(_BITS)) & 1
    signs = (2 * bits - 1).to(torch.int8).view(-1)
    return signs.to(device), int(torch.randint(size, (), generator=generator))
