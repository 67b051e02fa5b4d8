"""Fixed maps that need an index for each cell or row; indices are caches, made for each device and never stored."""

from __future__ import annotations

from abc import abstractmethod
from typing import final

import torch
from torch import Tensor

from lightning_tying.algebra.expression import IndexMap, Shape
from lightning_tying.algebra.maps.hashed_numbers import hash_cells
from lightning_tying.algebra.maps.index_maps import map_cells
from lightning_tying.algebra.primitives.gather import CellReader

_INT32 = 1 << 31


class CachedReader(CellReader):
    """Makes its cells from a map or a seed when they are first read; a copy or a pickle makes them again."""

    def __init__(self) -> None:
        self._cells: dict[torch.device, Tensor] = {}

    @abstractmethod
    def make(self) -> Tensor:
        """The cells, on the CPU."""

    def prepare(self, device: torch.device) -> None:
        self.cells(device)

    def cells(self, device: torch.device) -> Tensor:
        """The cells on a device."""
        found = self._cells.get(device)
        if found is None:
            with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
                found = self.make().to(device)
            if type(found) is Tensor:  # and not one that only traces
                self._cells[device] = found
        return found

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_cells": {}}


@final
class PickedRows(CachedReader):
    """Whole rows, or blocks of `block` rows, by a map with a number for each.

    Args:
        index_map: which row stands at each place.
        entries: how many places there are.
        block: rows in a block.
    """

    def __init__(self, index_map: IndexMap, entries: int, block: int = 1) -> None:
        super().__init__()
        self.index_map = index_map
        self.entries = entries
        self.block = block

    def make(self) -> Tensor:
        return _compact(map_cells(self.index_map, (self.entries,)))

    def read(self, operand: Tensor) -> Tensor:
        if operand.is_meta:
            return operand.new_empty((self.entries * self.block, *operand.shape[1:]))
        cells = self.cells(operand.device)
        if self.block == 1:
            return operand.index_select(0, cells)
        blocks = operand.shape[0] // self.block
        rest = operand.shape[1:]
        parts = operand.narrow(0, 0, blocks * self.block).reshape(blocks, self.block, *rest)
        return parts.index_select(0, cells).view(self.entries * self.block, *rest)


@final
class RowsWithHoles(CachedReader):
    """Whole rows by a map in which −1 names none: a row of zeros stands there, through which nothing is learned.

    Args:
        index_map: which row stands at each place.
        entries: how many places there are.
    """

    def __init__(self, index_map: IndexMap, entries: int) -> None:
        super().__init__()
        self.index_map = index_map
        self.entries = entries

    def make(self) -> Tensor:
        cells = map_cells(self.index_map, (self.entries,))
        return torch.stack([_compact(cells.clamp(min=0)), _compact((cells >= 0).long())])

    def read(self, operand: Tensor) -> Tensor:
        if operand.is_meta:
            return operand.new_empty((self.entries, *operand.shape[1:]))
        cells, named = self.cells(operand.device).unbind()
        found = operand.index_select(0, cells)
        return torch.where(named.view(-1, *(1,) * (operand.dim() - 1)) != 0, found, found.new_zeros(()))


@final
class PickedCells(CachedReader):
    """Single cells of a vector, by a map with a number for each cell of the value.

    Args:
        index_map: which cell of the vector stands in each cell.
        shape: of the value.
        size: of the vector.
        outside: what stands where the map names no cell of the vector; None: it always does.
    """

    def __init__(self, index_map: IndexMap, shape: Shape, size: int, outside: float | None = None) -> None:
        super().__init__()
        self.index_map = index_map
        self.shape = shape
        self.size = size
        self.outside = outside

    def make(self) -> Tensor:
        cells = map_cells(self.index_map, self.shape).reshape(-1)
        if self.outside is not None:
            cells = torch.where((cells < 0) | (cells >= self.size), self.size, cells)
        return _compact(cells)

    def read(self, operand: Tensor) -> Tensor:
        if operand.is_meta:
            return operand.new_empty(self.shape)
        if self.outside is not None:
            operand = torch.cat([operand, operand.new_full((1,), self.outside)])
        return operand.index_select(0, self.cells(operand.device)).view(self.shape)


@final
class HashedCells(CachedReader):
    """Cells of a vector by a hash (Chen et al. 2015; in chunks, Desai et al. 2022), with a sign by another hash.

    The sign is part of the index, into the vector and its negative: one look-up in the forward, one addition in the
    backward, and 4 bytes for each cell.

    Args:
        shape: of the value.
        size: of the vector, n.
        seed: of the map.
        key: of the map.
        chunk: how many cells in a row are read in a row.
        sign: whether cells change their sign.
    """

    def __init__(self, shape: Shape, size: int, seed: int, key: str, *, chunk: int, sign: bool) -> None:
        super().__init__()
        self.shape = shape
        self.size = size
        self.seed = seed
        self.key = key
        self.chunk = chunk
        self.sign = sign

    def make(self) -> Tensor:
        count = torch.Size(self.shape).numel()
        chunks = torch.arange(-(-count // self.chunk))
        starts = hash_cells(self.seed, self.key, chunks, 0) % self.size
        cells = (starts.unsqueeze(1) + torch.arange(self.chunk)) % self.size
        if self.sign:
            cells += self.size * (hash_cells(self.seed, self.key, chunks, 1) % 2).unsqueeze(1)
        return _compact(cells.view(-1)[:count])

    def read(self, operand: Tensor) -> Tensor:
        if operand.is_meta:
            return operand.new_empty(self.shape)
        both = torch.cat([operand, -operand]) if self.sign else operand
        return both.index_select(0, self.cells(operand.device)).view(self.shape)

    def read_unsigned(self, operand: Tensor) -> Tensor:
        both = torch.cat([operand, operand]) if self.sign else operand
        return both.index_select(0, self.cells(operand.device)).view(self.shape)


@final
class Masked(CachedReader):
    """The same cells, times a map of 0 and 1."""

    def __init__(self, index_map: IndexMap, shape: Shape) -> None:
        super().__init__()
        self.index_map = index_map
        self.shape = shape

    def make(self) -> Tensor:
        return map_cells(self.index_map, self.shape) != 0

    def read(self, operand: Tensor) -> Tensor:
        return operand if operand.is_meta else operand * self.cells(operand.device)


def _compact(cells: Tensor) -> Tensor:
    """int32 where the numbers fit, in memory of its own."""
    fits = not cells.numel() or int(cells.max()) < _INT32
    return cells.to(torch.int32 if fits else torch.int64).contiguous()
