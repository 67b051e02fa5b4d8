"""A tied task under the Trainer against the same network tied by hand: the same losses, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from torch.utils.data import DataLoader

from lightning_tying import verify
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import LanguageModeling

STEPS, VOCABULARY = 50, 40
SPEC = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, l % 2]"]}


def _network() -> DecoderLM:
    return DecoderLM(vocab_size=VOCABULARY, dim=16, depth=4, heads=2, kv_heads=1, dropout=0.1)


def _tied_by_hand() -> DecoderLM:
    network = _network()
    network.head.weight = network.embed.weight
    for number in (2, 3):
        source, target = network.layers[number - 2], network.layers[number]
        for name, parameter in source.named_parameters():
            path, _, last = name.rpartition(".")
            setattr(target.get_submodule(path), last, parameter)
    return network


class Losses(Callback):
    def __init__(self) -> None:
        self.found: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, *_arguments: Any) -> None:
        self.found.append(outputs["loss"].detach().clone())


def _batches() -> DataLoader[Any]:
    rows = torch.randint(1, VOCABULARY, (STEPS, 3, 9), generator=torch.Generator().manual_seed(5))
    return DataLoader([{"tokens": row} for row in rows], batch_size=None)  # pyright: ignore  # a list is a dataset


def _train(tmp_path: Path, *, by_hand: bool, steps: int = STEPS, more: list[Callback] | None = None) -> tuple[Any, Any]:
    """Up to a number of steps; without one, four epochs of ten steps each."""
    seed_everything(3, verbose=False)
    task = LanguageModeling(_tied_by_hand() if by_hand else _network(), None if by_hand else SPEC)
    losses = Losses()
    trainer = Trainer(
        accelerator="cpu", max_steps=steps, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[losses, *(more or [])], max_epochs=4,
        limit_train_batches=1.0 if steps > 0 else 10,
    )  # fmt: skip
    seed_everything(4, verbose=False)
    trainer.fit(task, _batches())
    return task, torch.stack(losses.found)


def test_fifty_steps_are_bit_identical(tmp_path: Path) -> None:
    task, losses = _train(tmp_path, by_hand=False)
    hand, expected = _train(tmp_path, by_hand=True)
    assert len(losses) == STEPS and losses[-1] < losses[0]
    assert torch.equal(losses, expected)
    for (name, one), other in zip(task.network.named_parameters(), hand.network.parameters(), strict=True):
        assert torch.equal(one, other), name
    verify(task)


@pytest.mark.parametrize(
    "average", [lambda: EMAWeightAveraging(decay=0.5), lambda: StochasticWeightAveraging(1e-3, swa_epoch_start=1)]
)
def test_weight_averaging_keeps_the_ties(tmp_path: Path, average: Any) -> None:
    task, losses = _train(tmp_path / "a", by_hand=False, steps=-1, more=[average()])
    hand, expected = _train(tmp_path / "b", by_hand=True, steps=-1, more=[average()])
    verify(task)
    assert torch.equal(losses, expected)
    assert task.network.head.weight is task.network.embed.weight
    for (name, one), other in zip(task.network.named_parameters(), hand.network.parameters(), strict=True):
        assert torch.equal(one, other), name
