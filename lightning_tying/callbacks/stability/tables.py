"""Sharing groups in; which of them are vocabulary tables, and the groups of their rows, out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.callbacks.stability.row_groups import group_bands, group_pieces, has_pieces
from lightning_tying.gradients.module_calls import is_beneath
from lightning_tying.gradients.shared import SharedParameter
from lightning_tying.gradients.statistics import UseStatistics
from lightning_tying.lowering.resolve import walk_modules
from lightning_tying.reports.stability.rows import RowNumbers, measure_rows


class Tables:
    """The vocabulary tables among some groups: what an embedding reads row by row, or has a row for each id.

    Args:
        trainer: None for no trainer; its datamodule may have a `vocabulary`, and texts by language.
        module: that is trained.
        groups: to look through.
    """

    def __init__(self, trainer: Trainer | None, module: nn.Module, groups: Iterable[SharedParameter]) -> None:
        self._data: Any = getattr(trainer, "datamodule", None)
        vocabulary = getattr(self._data, "vocabulary", None)
        self._size: int = vocabulary.size if vocabulary is not None and has_pieces(vocabulary) else 0
        self._divided: dict[int, Mapping[str, Tensor]] = {}
        rows = {path: part.num_embeddings for path, part in walk_modules(module) if isinstance(part, nn.Embedding)}
        self.names = frozenset(each.name for each in groups if self._is_table(each, rows))

    def measure(self, found: Mapping[ParameterName, UseStatistics]) -> dict[str, dict[str, RowNumbers]]:
        """The numbers of each group of rows of each table, by the tables' names.

        Args:
            found: what a sink that knows `names` gave.
        """
        told: dict[str, dict[str, RowNumbers]] = {}
        for name, numbers in found.items():
            if numbers.rows is not None and len(numbers.rows.total):
                divided = self._divide(len(numbers.rows.total))
                told[str(name)] = measure_rows(numbers.rows.uses, numbers.rows.total, divided)
        return told

    def _is_table(self, shared: SharedParameter, rows: Mapping[str, int]) -> bool:
        tensor = shared.parameter()
        if tensor is None or tensor.ndim != 2:
            return False
        looked_up = (path for path, size in rows.items() if size == tensor.shape[0])
        return tensor.shape[0] == self._size or any(
            is_beneath(holder.place, path) for path in looked_up for holder in shared.holders
        )

    def _divide(self, rows: int) -> Mapping[str, Tensor]:
        """Once for each number of rows: texts are read for it."""
        if rows not in self._divided:
            pieces = group_pieces(self._data, rows) if 0 < self._size <= rows else {}
            self._divided[rows] = pieces or group_bands(rows)
        return self._divided[rows]


NO_TABLES = Tables(None, nn.Module(), ())
