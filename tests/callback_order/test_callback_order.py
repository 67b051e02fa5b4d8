"""The order of callbacks changes nothing: losses, weights and every checkpoint are the same bit by bit.

`SLOW_TESTS=1` runs all 5040 permutations; without it a sample in which each of the seven stands at each place,
and each pair stands both ways.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import verify
from lightning_tying.callbacks import ParameterSavings
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt
from lightning_tying.tasks import TiedModule
from tests.slow import SLOW

SPECS: dict[str, Any] = {
    "alias": {"share": [{"tie": ["0.weight", "3.weight"]}]},
    "transposed": {"share": ["0.weight = W", "3.weight = t(W)"]},
    "delta": {"share": ["{l:int}.weight = W + low_rank(2)"]},
}
COUNT = 7
SAMPLE = 4


class Net(TiedModule, LightningModule):
    """With dropout, so that a callback that draws a random number would be seen."""

    network: Any

    def __init__(self, spec: Any) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Dropout(0.2), nn.Linear(4, 4))
        self.tie_network(spec)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = (self.network(batch[0]) - 1).square().mean()
        self.losses.append(float(loss))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", (self.network(batch[0]) - 1).square().mean())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


def make_callbacks(folder: Path) -> list[Callback]:
    return [
        ParameterSavings(folder, show=False),
        KeepRandomState(),
        RunCheckpoint(folder / "run", "val/loss"),
        SaveOnInterrupt(folder),
        EMAWeightAveraging(decay=0.9),
        ModelCheckpoint(folder / "own", "{step}", save_top_k=-1, every_n_train_steps=3),
        LearningRateMonitor(),
    ]


def sample_orders() -> list[tuple[int, ...]]:
    every = list(itertools.permutations(range(COUNT)))
    if SLOW:
        return every
    turned = [tuple((place + turn) % COUNT for place in range(COUNT)) for turn in range(COUNT)]
    return [*turned, tuple(reversed(range(COUNT))), *random.Random(0).sample(every, SAMPLE)]


def train(spec: Any, order: tuple[int, ...], folder: Path, made: list[Callback] | None = None) -> dict[str, Any]:
    seed_everything(0, verbose=False)
    module = Net(spec)
    callbacks = made or make_callbacks(folder)
    data = DataLoader(TensorDataset(torch.randn(16, 4)), batch_size=4)
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=CSVLogger(folder), enable_progress_bar=False, log_every_n_steps=1,
        enable_model_summary=False, num_sanity_val_steps=0, callbacks=[callbacks[place] for place in order],
    )  # fmt: skip
    trainer.fit(module, data, data)
    verify(module.network)
    average = next(each for each in callbacks if isinstance(each, EMAWeightAveraging))
    verify(average._average_model.module)  # type: ignore[union-attr,arg-type]
    files = {str(path.relative_to(folder)): read(path) for path in sorted(folder.rglob("*.ckpt"))}
    return {"losses": module.losses, "weights": dict(module.state_dict()), "files": files}


def read(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, but for the folders that its callbacks name."""
    content = torch.load(path, weights_only=True)
    kept = (
        "state_dict",
        "current_model_state",
        "optimizer_states",
        "lr_schedulers",
        "loops",
        "sharing",
        "random_state",
    )
    averaged = {key: value for key, value in content["callbacks"].items() if "Averaging" in key}
    return {**{key: content.get(key) for key in kept}, "averaged": averaged, "keys": sorted(content)}


def same(one: Any, other: Any, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key, value in one.items():
            same(value, other[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{path}/{place}")
    else:
        assert one == other, path


def test_the_sample_has_every_place_and_every_pair() -> None:
    orders = sample_orders()
    assert {(place, each) for order in orders for place, each in enumerate(order)} == set(
        itertools.product(range(COUNT), repeat=2)
    )
    pairs = {(order[i], order[j]) for order in orders for i in range(COUNT) for j in range(i + 1, COUNT)}
    assert pairs == set(itertools.permutations(range(COUNT), 2))


@pytest.mark.parametrize("spec", SPECS)
def test_no_order_changes_losses_weights_or_checkpoints(spec: str, tmp_path: Path) -> None:
    first, *others = sample_orders()
    wanted = train(SPECS[spec], first, tmp_path / "first")
    assert len(wanted["losses"]) == 8
    assert {"run/best.ckpt", "run/last.ckpt", "own/step=3.ckpt", "own/step=6.ckpt"} <= set(wanted["files"])
    for place, order in enumerate(others):
        same(train(SPECS[spec], order, tmp_path / str(place)), wanted, f"{order}")


def test_a_callback_that_draws_a_number_would_be_seen(tmp_path: Path) -> None:
    class Draws(Callback):
        def on_train_batch_start(self, *_arguments: Any) -> None:
            torch.rand(1)

    order = tuple(range(COUNT))
    wanted = train(SPECS["alias"], order, tmp_path / "one")
    changed = [*make_callbacks(tmp_path / "two")[:-1], Draws()]
    with pytest.raises(AssertionError):
        same(train(SPECS["alias"], order, tmp_path / "two", changed), wanted)
