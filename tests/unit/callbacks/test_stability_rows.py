"""GradientStability on a vocabulary table: its rows by kind and language, and by their order without a vocabulary."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from lightning_tying import tie
from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.callbacks.stability.log import list_values
from lightning_tying.callbacks.stability.row_groups import group_bands, group_pieces
from lightning_tying.reports.stability.history import History, read_history
from lightning_tying.reports.stability.html import render_report
from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.text import to_data, write_text
from lightning_tying.vocab import SharedVocabulary
from tests.unit.callbacks.stability_runs import QUIET

TEXTS = {"de": ["der Hund und der Hut", "und der Hof"] * 4, "fr": ["le chat et le chien", "le chou est là"] * 4}
BATCH = torch.tensor([[2, 70, 80, 90], [3, 110, 265, 266]])


class Net(LightningModule):
    """Predicts the next id, by one table for input and output."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(rows, 4), nn.Linear(4, rows, bias=False)
        tie(self, {"share": ["embed.weight = E", "head.weight = E"]})

    def find_loss(self, table: Tensor, weight: Tensor) -> Tensor:
        hidden = functional.embedding(BATCH[:, :-1], table).cumsum(1).tanh()
        return functional.cross_entropy((hidden @ weight.T).flatten(0, 1), BATCH[:, 1:].flatten())

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        hidden = self.embed(BATCH[:, :-1]).cumsum(1).tanh()
        return functional.cross_entropy(self.head(hidden).flatten(0, 1), BATCH[:, 1:].flatten())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Data(LightningDataModule):
    """Texts and their vocabulary."""

    def __init__(self, vocabulary: SharedVocabulary) -> None:
        super().__init__()
        self.vocabulary = vocabulary

    def split_text(self, split: str) -> dict[str, list[str]]:
        assert split == "train"
        return TEXTS

    def train_dataloader(self) -> Any:
        return DataLoader(range(2))  # type: ignore[arg-type]  # a sequence


@pytest.fixture(scope="module")
def vocabulary() -> SharedVocabulary:
    return SharedVocabulary.train(TEXTS, 270)


def run(folder: Path, net: Net, data: Any, pairs: Any = "sketch") -> Record:
    callback = GradientStability(1, pairs=pairs, report=False)
    options: dict[str, Any] = QUIET | {"max_steps": 1}
    trainer = Trainer(default_root_dir=folder, callbacks=[callback], **options)
    if isinstance(data, Data):
        trainer.fit(net, datamodule=data)
    else:
        trainer.fit(net, data)
    (record,) = read_history(folder / "stability.jsonl").records
    return record


@pytest.mark.parametrize("pairs", ["none", "sketch", "exact"])
def test_rows_are_measured_as_by_brute_force(pairs: Any, tmp_path: Path, vocabulary: SharedVocabulary) -> None:
    net, data = Net(vocabulary.size + 3), Data(vocabulary)
    leaves = [net.embed.weight.detach().clone().requires_grad_() for _ in range(2)]
    uses = torch.autograd.grad(net.find_loss(*leaves), leaves)
    record = run(tmp_path, net, data, pairs=pairs)
    groups = group_pieces(data, vocabulary.size + 3)
    assert [*record.rows] == [*groups]
    whole = sum(float(use.square().sum()) for use in uses)
    for name, rows in groups.items():
        mine = torch.stack([use[rows] for use in uses])
        found, squares = record.rows[name], float(mine.square().sum())
        assert found.rows == len(rows)
        assert found.norms == pytest.approx([float(each.norm()) for each in mine], rel=1e-5)
        assert found.share == pytest.approx(squares / whole, rel=1e-5)
        assert found.kappa == pytest.approx(float(mine.sum(0).square().sum()) / (2 * squares), rel=1e-4)
    assert sum(row.share for row in record.rows.values()) == pytest.approx(1)


def test_each_row_is_in_the_group_of_what_it_stands_for(vocabulary: SharedVocabulary) -> None:
    rows = vocabulary.size + 3
    groups = {name: set(ids.tolist()) for name, ids in group_pieces(Data(vocabulary), rows).items()}
    assert groups["special tokens"] == {vocabulary.pad_id, vocabulary.eos_id}
    assert groups["language tags"] == set(vocabulary.language_ids.values())
    assert len(groups["bytes"]) == 256
    assert {*range(vocabulary.size, rows)} <= groups["in no text"]
    ids = {language: [id for text in texts for id in vocabulary.encode(text)] for language, texts in TEXTS.items()}
    merged = set(range(260, vocabulary.size)) & {*ids["de"], *ids["fr"]}
    share = {language: {id: each.count(id) / len(each) for id in merged} for language, each in ids.items()}
    german = {id for id in merged if share["de"][id] >= share["fr"][id]}
    assert german and groups["pieces: de"] == german and groups["pieces: fr"] == merged - german != set()
    assert sorted(id for ids in groups.values() for id in ids) == list(range(rows))


def test_without_texts_pieces_are_told_by_their_order(vocabulary: SharedVocabulary) -> None:
    class Bare:
        def __init__(self) -> None:
            self.vocabulary = vocabulary

    groups = group_pieces(Bare(), vocabulary.size)
    merged = vocabulary.size - 260
    assert {name: len(ids) for name, ids in groups.items()} == {
        "special tokens": 2, "language tags": 2, "bytes": 256, f"rows 100 to {vocabulary.size - 1}": merged,
    }  # fmt: skip


def test_a_table_without_a_vocabulary_is_told_in_bands(tmp_path: Path) -> None:
    record = run(tmp_path, Net(300), DataLoader(range(2)))  # type: ignore[arg-type]  # a sequence
    assert {name: row.rows for name, row in record.rows.items()} == {"rows 0 to 99": 100, "rows 100 to 299": 200}
    assert group_bands(2500)["rows 1,000 to 2,499"].tolist() == list(range(1000, 2500))


def test_rows_are_logged_and_in_every_report(tmp_path: Path) -> None:
    record = run(tmp_path, Net(300), DataLoader(range(2)))  # type: ignore[arg-type]  # a sequence
    values = list_values(record)
    assert values["tying/E/rows/rows 0 to 99/share"] == record.rows["rows 0 to 99"].share
    assert math.isfinite(values["tying/E/rows/rows 100 to 299/kappa"])
    history = History((record,))
    assert "rows 100 to 299" in render_report(history) and "rows 100 to 299" in write_text(history)
    assert to_data(history)["groups"][0]["rows"]["rows 0 to 99"]["rows"] == 100


def test_a_matrix_that_is_no_table_has_no_rows(tmp_path: Path) -> None:
    class Square(Net):
        def __init__(self) -> None:
            LightningModule.__init__(self)
            self.layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
            tie(self, {"share": ["layers.{i}.weight = W"]})

        def training_step(self, batch: Any, batch_idx: int) -> Tensor:
            return self.layers(torch.ones(2, 4)).square().mean()

    assert not run(tmp_path, Square(), DataLoader(range(2))).rows  # type: ignore[arg-type]  # a sequence
