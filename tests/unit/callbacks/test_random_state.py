"""KeepRandomState: a run that was broken off and resumed draws the same dropout as one that was not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying.callbacks.generators import choose_states, derive_states, read_states, write_states
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.errors import ConfigError


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return functional.dropout(self.layer(batch[0]), 0.5).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Batches:
    """Two batches; a DataLoader would draw random numbers itself."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[list[Tensor]]:
        return iter([[torch.ones(4, 8)]] * 2)


def fit(folder: Path, epochs: int, checkpoint: Path | None = None) -> Tensor:
    seed_everything(1, verbose=False)
    torch.manual_seed(1)
    module, data = Net(), Batches()
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, default_root_dir=folder, callbacks=[KeepRandomState()],
    )  # fmt: skip
    trainer.fit(module, data, ckpt_path=checkpoint)
    trainer.save_checkpoint(folder / f"{epochs}.ckpt")
    return module.layer.weight.detach().clone()


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = fit(tmp_path, 3)
    fit(tmp_path, 2)
    assert fit(tmp_path, 3, tmp_path / "2.ckpt").equal(whole)


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(1)),
    ]


def test_all_generators_go_on_where_they_were(tmp_path: Path) -> None:
    random.gauss(0, 1)
    np.random.randn()  # each of these keeps a second number for later
    torch.save(read_states(), tmp_path / "states.pt")
    expected = draw()
    draw()
    write_states(torch.load(tmp_path / "states.pt", weights_only=True))
    assert draw() == expected


def test_derived_states_follow_from_the_number_and_change_nothing() -> None:
    states = read_states()
    one, again, other = derive_states(states, 1), derive_states(states, 1), derive_states(states, 2)
    assert torch.equal(read_states()["torch"], states["torch"])
    assert torch.equal(one["torch"], again["torch"]) and not torch.equal(one["torch"], other["torch"])
    write_states(states)


@pytest.mark.parametrize(
    ("saved", "rank", "expected"), [("two", 1, "second"), ("two", 0, "first"), ("same", 3, "first")]
)
def test_each_process_takes_its_own_state(saved: str, rank: int, expected: str) -> None:
    first = read_states()
    second = derive_states(first, 9)
    states = {"two": [first, second], "same": [first, first]}[saved]
    wanted = {"first": first, "second": second}[expected]
    assert torch.equal(choose_states(states, rank)["torch"], wanted["torch"])


def test_a_process_more_gets_a_state_of_its_own() -> None:
    first = read_states()
    other = derive_states(first, 9)
    third = choose_states([first, other], 2)["torch"]
    assert not any(torch.equal(third, state["torch"]) for state in (first, other))
    assert torch.equal(third, choose_states([first, other], 2)["torch"])


def test_damaged_states_are_told(tmp_path: Path) -> None:
    fit(tmp_path, 1)
    checkpoint = torch.load(tmp_path / "1.ckpt", weights_only=True)
    checkpoint["random_state"] = [{"torch": torch.zeros(3)}]
    torch.save(checkpoint, tmp_path / "damaged.ckpt")
    with pytest.raises(ConfigError, match="random states of the checkpoint cannot be taken up"):
        fit(tmp_path, 2, tmp_path / "damaged.ckpt")


def test_another_number_of_processes_is_said(tmp_path: Path) -> None:
    fit(tmp_path, 1)
    checkpoint = torch.load(tmp_path / "1.ckpt", weights_only=True)
    checkpoint["random_state"] *= 2
    torch.save(checkpoint, tmp_path / "two.ckpt")
    with pytest.warns(UserWarning, match="random states of 2 processes, and this run has 1"):
        fit(tmp_path, 2, tmp_path / "two.ckpt")
