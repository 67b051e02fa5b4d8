"""What GradientStability finds where the truth is planted, and that healthy runs raise no alarm."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.models import DecoderLM
from tests.unit.callbacks.stability_runs import fit, records_of

WIDTH = 24


class TwoTasks(LightningModule):
    """Two networks that train one trunk, each with a head of its own task.

    Args:
        truth: `opposed` (one task wants the negative of what the other wants), `same`, or `noise`: each batch of each
            task wants something random, of its own.
    """

    def __init__(self, truth: str) -> None:
        super().__init__()
        self.truth = truth
        self.tasks = nn.ModuleList(nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(2))
        tie(self, {"share": ["tasks.{i}.weight = trunk"]})
        self.wanted = torch.randn(WIDTH, WIDTH)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        inputs = torch.randn(2, 16, WIDTH) if self.truth == "noise" else torch.randn(16, WIDTH).expand(2, -1, -1)
        targets = inputs @ self.wanted
        if self.truth == "noise":
            targets = 20 * torch.randn(2, 16, WIDTH)  # far more than what the trunk itself gives
        if self.truth == "opposed":
            targets = targets * torch.tensor([1.0, -1.0])[:, None, None]
        losses = [functional.mse_loss(task(x), y) for task, x, y in zip(self.tasks, inputs, targets, strict=True)]
        return torch.stack(losses).sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)


def run_tasks(truth: str, folder: Path, pairs: Any) -> tuple[float, float]:
    """Mean coherence and mean conflict rate."""
    torch.manual_seed(0)
    fit(folder, TwoTasks(truth), GradientStability(1, pairs=pairs, report=False), max_steps=60)
    records = records_of(folder)
    return statistics.fmean(each.kappa for each in records), statistics.fmean(each.conflict for each in records)


@pytest.mark.parametrize("pairs", ["sketch", "exact"])
def test_opposite_tasks_cancel(pairs: str, tmp_path: Path) -> None:
    kappa, conflict = run_tasks("opposed", tmp_path, pairs)
    assert kappa < 0.05
    assert conflict > 0.95


@pytest.mark.parametrize("pairs", ["sketch", "exact"])
def test_identical_tasks_agree(pairs: str, tmp_path: Path) -> None:
    kappa, conflict = run_tasks("same", tmp_path, pairs)
    assert kappa > 0.999
    assert conflict == 0


@pytest.mark.parametrize("pairs", ["sketch", "exact"])
def test_independent_noise_has_one_over_the_number_of_uses(pairs: str, tmp_path: Path) -> None:
    kappa, conflict = run_tasks("noise", tmp_path, pairs)
    assert kappa == pytest.approx(0.5, abs=0.03)
    assert 0.2 < conflict < 0.8


def test_an_opposed_pair_is_told_and_the_others_are_not(tmp_path: Path) -> None:
    for truth, expected in (("opposed", ["conflict"]), ("same", []), ("noise", [])):
        callback = GradientStability(1, report=False)
        torch.manual_seed(0)
        fit(tmp_path / truth, TwoTasks(truth), callback, max_steps=60)
        assert [alarm.kind for alarm in callback.alarms] == expected


class Deep(LightningModule):
    """Four layers with two weights, without any norm.

    Args:
        factor: of the learning rate of one of the weights, `W`.
        optimizer: its class.
        rate: the learning rate.
    """

    def __init__(self, factor: float, optimizer: Any, rate: float) -> None:
        super().__init__()
        layers = [layer for _ in range(4) for layer in (nn.Linear(6, 6), nn.ReLU())]
        self.network = nn.Sequential(*layers[:-1])
        pairs = {"W": (0, 2), "V": (4, 6)}
        tie(self, {"share": [f"network.{layer}.weight = {name}" for name, each in pairs.items() for layer in each]})
        self.factor, self.optimizer, self.rate = factor, optimizer, rate
        self.losses: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = functional.mse_loss(self.network(batch[0]), batch[1])
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> Any:
        hot = self.network[0].weight
        others = [each for each in self.parameters() if each is not hot]
        groups = [{"params": others}, {"params": [hot], "lr": self.rate * self.factor}]
        return self.optimizer(groups, lr=self.rate)


class SmallLM(LightningModule):
    """A decoder with one block, tied embeddings and a language in which words follow each other."""

    def __init__(self) -> None:
        super().__init__()
        self.network = DecoderLM(vocab_size=32, dim=16, depth=3, heads=2)
        tie(self.network, {"share": ["layers.{l}.{name*} = block[name]", {"tie": ["embed.weight", "head.weight"]}]})
        self.follows = torch.rand(32, 32) ** 6

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        tokens = [torch.randint(0, 32, (8,))]
        for _ in range(12):
            tokens.append(torch.multinomial(self.follows[tokens[-1]], 1)[:, 0])
        text = torch.stack(tokens, dim=1)
        logits = self.network(text[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=3e-3)


RATES = [(torch.optim.SGD, 0.3), (torch.optim.SGD, 0.1), (torch.optim.AdamW, 0.01)]


@pytest.mark.parametrize(("optimizer", "rate"), RATES)
def test_a_learning_rate_times_100_is_told_before_the_loss_is_nan(optimizer: Any, rate: float, tmp_path: Path) -> None:
    for factor in (1, 100):
        torch.manual_seed(0)
        net, callback = Deep(factor, optimizer, rate), GradientStability(1, report=False)
        fit(tmp_path / str(factor), net, callback, max_steps=40)
        if factor == 1:
            assert callback.alarms == []
            continue
        broken = next((step for step, loss in enumerate(net.losses) if loss != loss), len(net.losses))
        assert rate != 0.3 or broken < len(net.losses)
        first = callback.alarms[0]
        assert (first.kind, first.group) == ("unstable", "W")
        assert first.step + 1 < broken


def test_twenty_healthy_runs_raise_no_alarm(tmp_path: Path) -> None:
    alarms: list[Any] = []
    for seed in range(20):
        torch.manual_seed(seed)
        optimizer, rate = RATES[seed % 3]
        net = SmallLM() if seed % 5 == 0 else Deep(1, optimizer, rate)
        callback = GradientStability(2, report=False)
        fit(tmp_path / str(seed), net, callback, max_steps=40)
        alarms += [(seed, alarm) for alarm in callback.alarms]
        assert len(records_of(tmp_path / str(seed))) >= 40
    assert alarms == []
