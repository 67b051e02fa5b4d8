"""A trained module, its vocabulary and another in; the module with the other's rows out, ready to train on."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from lightning_tying.errors import ConfigError
from lightning_tying.lowering.edits.change_rows import ChangedRows, change_rows
from lightning_tying.lowering.edits.new_rows import ATOMS, NewRowRule, make_row_change
from lightning_tying.lowering.edits.row_change import RowChange
from lightning_tying.tasks.text_task import TextTask
from lightning_tying.vocab.piece_vectors import make_piece_vectors
from lightning_tying.vocab.row_origins import RowOrigins, find_row_origins
from lightning_tying.vocab.vocabulary import Vocabulary

Texts = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class NewRows:
    """How a new vocabulary's rows come from the old one's.

    Args:
        origins: which ids are kept, and what spells the others.
        change: what each row is made of.
    """

    origins: RowOrigins
    change: RowChange


def plan_new_rows(
    old: Vocabulary,
    new: Vocabulary,
    rule: NewRowRule = "mean",
    *,
    texts: Texts | None = None,
    vectors: torch.Tensor | None = None,
    rows: int | None = None,
    atoms: int = ATOMS,
) -> NewRows:
    """Decide what the rows of a new vocabulary are made of.

    Args:
        old: the vocabulary that a model was trained with.
        new: the one that it is to have.
        rule: how rows that were not there start: `mean`, `subword_mean`, `overlap` or `omp`.
        texts: of the new vocabulary's languages; `overlap` and `omp` then see which pieces stand beside which.
        vectors: a helper space of your own for them, float [new ids, dimensions].
        rows: how many rows the new table has; default one for each id.
        atoms: how many kept pieces `omp` combines.

    Raises:
        ConfigError: a vocabulary has no table of its own.
        ApplyError: the helper space does not fit, or nothing is kept.
    """
    origins = find_row_origins(old, new)
    if vectors is None and rule in ("overlap", "omp"):
        vectors = torch.from_numpy(make_piece_vectors(new, texts))
    return NewRows(origins, make_row_change(origins, rule, vectors, rows=rows, atoms=atoms))


def change_vocabulary(
    module: nn.Module,
    new: Vocabulary,
    old: Vocabulary | None = None,
    *,
    new_rows: NewRowRule = "mean",
    texts: Texts | None = None,
    group: str | None = None,
    rows: int | None = None,
) -> ChangedRows:
    """Give a trained module another vocabulary: embedding, head, biases and sizes; kept rows bit for bit.

    A task's own vocabulary and hparams follow.

    Args:
        module: tied or not, before an optimizer or a strategy holds its parameters.
        new: the vocabulary that it is to have.
        old: the one that it was trained with; default the task's own.
        new_rows: how rows that were not there start, as for `plan_new_rows`.
        texts: as for `plan_new_rows`.
        group: the table, where a module has several, as for `change_rows`.
        rows: how many rows the new table has; default one for each id.

    Raises:
        ConfigError: it is not known what the old vocabulary was, or one has no table of its own.
        ApplyError: something cannot follow. Nothing has changed.
    """
    known = module.vocabulary if old is None and isinstance(module, TextTask) else old
    if known is None:
        raise ConfigError("Say which vocabulary the module was trained with: change_vocabulary(module, new, old).")
    change = plan_new_rows(known, new, new_rows, texts=texts, rows=rows).change
    done = change_rows(module, change, group)
    if isinstance(module, TextTask):
        module.vocabulary = new
        module.hparams.update(resize_hparams(cast("Mapping[str, Any]", module.hparams), done))
    return done


def resize_hparams(hparams: Mapping[str, Any], done: ChangedRows) -> dict[str, Any]:
    """Hparams with the new number of rows wherever they told the old one as a network's `vocab_size`.

    Args:
        hparams: plain content.
        done: the rows before and after.
    """
    return cast("dict[str, Any]", _resize("", hparams, done))


def _resize(key: str, value: Any, done: ChangedRows) -> Any:
    if isinstance(value, Mapping):
        content = cast("Mapping[str, Any]", value)
        return {name: each if name == "sharing" else _resize(name, each, done) for name, each in content.items()}
    return done.rows if key == "vocab_size" and value == done.old_rows else value
