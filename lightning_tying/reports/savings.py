"""A sharing graph in, what sharing saves out: parameters, optimizer state and checkpoint bytes; no tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch

from lightning_tying.graph.ir import SharingGraph, SharingGroup, TensorMeta
from lightning_tying.reports.reckoning.family_rows import FamilySavings, family_rows, list_families
from lightning_tying.reports.reckoning.group_rows import GroupSavings, group_rows
from lightning_tying.reports.tables import Table


@dataclass(frozen=True)
class Size:
    """How large a model is.

    Args:
        parameters: cells of all parameters, each parameter once.
        trainable: those of them that train.
        parameter_bytes: bytes of all parameters, which is what a checkpoint holds of them.
        optimizer_cells: cells of the optimizer's state, scalars such as step counts left out.
    """

    parameters: int
    trainable: int
    parameter_bytes: int
    optimizer_cells: int

    def __add__(self, other: Size) -> Size:
        return Size(
            self.parameters + other.parameters,
            self.trainable + other.trainable,
            self.parameter_bytes + other.parameter_bytes,
            self.optimizer_cells + other.optimizer_cells,
        )


@dataclass(frozen=True)
class SavingsReport:
    """A model with its ties against the same model with a parameter of its own at every site.

    Args:
        before: every site its own parameter.
        after: the shared and the private parameters, each once: `after.parameters` is
            `sum(p.numel() for p in module.parameters())` of the tied model.
        groups: those with two uses or more, all of them aliases, the largest savings first.
        families: what derived sites are computed from, the largest savings first; what it saves is below 0 where
            functions bring more than is shared.
    """

    before: Size
    after: Size
    groups: tuple[GroupSavings, ...]
    families: tuple[FamilySavings, ...] = ()

    @property
    def saved(self) -> float:
        """The saved part of the parameters, 0 to 1."""
        return 1 - self.after.parameters / self.before.parameters if self.before.parameters else 0.0

    @property
    def summary(self) -> str:
        """One line: `427,904 -> 231,552 parameters (46 % saved)`; with adapters there are more: `(1 % more)`."""
        counts = f"{self.before.parameters:,} -> {self.after.parameters:,}"
        told = f"{100 * self.saved:.0f} % saved" if self.saved >= 0 else f"{-100 * self.saved:.0f} % more"
        return f"{counts} parameters ({told})"

    def tables(self) -> tuple[Table, ...]:
        """The sharing groups, what derived sites are computed from, then the totals."""
        totals = Table(("", "before", "after", "saved"), tuple(_total_rows(self.before, self.after)))
        groups = Table(("shared parameter", "shape", "uses", "cells", "saved"), group_rows(self.groups))
        families = Table(("computed from", "before -> after", "sites", "cells", "saved"), family_rows(self.families))
        return (*(table for table in (groups, families) if table.rows), totals)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        groups = [asdict(group) | {"shape": list(group.shape), "saved": group.saved} for group in self.groups]
        families = [asdict(family) | {"saved": family.saved} for family in self.families]
        sizes = {"before": asdict(self.before), "after": asdict(self.after), "saved": self.saved}
        return {**sizes, "groups": groups, "families": families}

    def to_markdown(self) -> str:
        """The tables and the summary in Markdown."""
        return "\n\n".join([*(table.to_markdown() for table in self.tables()), self.summary])

    def __str__(self) -> str:
        return "\n\n".join([*(table.to_text() for table in self.tables()), self.summary])

    def _repr_html_(self) -> str:
        return "".join(table.to_html() for table in self.tables()) + f"<p>{self.summary}</p>"


def reckon_savings(graph: SharingGraph, *, states_per_parameter: float = 2) -> SavingsReport:
    """What the ties of a graph save.

    Args:
        graph: of a plan or of `discover`; its tensors may be on meta.
        states_per_parameter: cells that the optimizer keeps for each trainable cell: 2 for Adam and AdamW,
            1 for SGD with momentum, 0 for plain SGD.
    """
    private = Counter(meta for _, meta in graph.private)  # alike ones are counted
    before, after = private + Counter(derived.meta for derived in graph.derived), private.copy()
    for group in graph.groups:
        before[group.meta] += sum(not use.slot for use in group.uses)
        after[group.meta] += 1
    groups = sorted(_list_groups(graph.groups), key=lambda group: -group.saved)
    return SavingsReport(
        before=_sum(_size(meta, times, states_per_parameter) for meta, times in before.items()),
        after=_sum(_size(meta, times, states_per_parameter) for meta, times in after.items()),
        groups=tuple(groups),
        families=list_families(graph),
    )


def _list_groups(groups: Iterable[SharingGroup]) -> list[GroupSavings]:
    return [
        GroupSavings(str(group.name), len(group.uses), group.meta.shape, group.meta.numel, group.name.family)
        for group in groups
        if group.is_plain and len(group.uses) > 1
    ]


def _size(meta: TensorMeta, times: int, states: float) -> Size:
    cells = meta.numel * times
    trainable = cells if meta.trainable else 0
    dtype = getattr(torch, meta.dtype, None)
    size = dtype.itemsize if isinstance(dtype, torch.dtype) else meta.itemsize
    return Size(cells, trainable, cells * size, round(trainable * states))


def _sum(sizes: Iterable[Size]) -> Size:
    return sum(sizes, Size(0, 0, 0, 0))


def _total_rows(before: Size, after: Size) -> Iterable[tuple[str, ...]]:
    titles = {
        "parameters": "parameters",
        "trainable": "trainable parameters",
        "parameter_bytes": "parameter bytes",
        "optimizer_cells": "optimizer state cells",
    }
    for field, title in titles.items():
        one, other = getattr(before, field), getattr(after, field)
        saved = f"{100 * (1 - other / one):.0f} %" if one else "-"
        yield title, f"{one:,}", f"{other:,}", saved
