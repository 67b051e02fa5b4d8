"""Penalties reach the loss of any LightningModule once, and are logged."""

from __future__ import annotations

import copy
import pickle
import warnings

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lightning_tying.api import tie
from lightning_tying.errors import SharingWarning
from lightning_tying.lowering.penalty import reckon_penalty
from lightning_tying.tasks.tied_module import TiedModule
from lightning_tying.tasks.watch.penalized_step import add_penalty

SPEC = {"share": ["center.weight = C", {"sites": "{m:a|b}.weight", "equals": "C", "penalty": 0.1}]}


@pytest.fixture(autouse=True)
def quiet():
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (SharingWarning))
        warnings.filterwarnings("ignore", module="lightning")
        yield


class Plain(pl.LightningModule):
    """Its `training_step` takes no batch number, as Lightning allows."""

    as_dict = False
    manual = False

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.center = (nn.Linear(3, 3, bias=False) for _ in range(3))
        self.automatic_optimization = not self.manual
        self.seen = []

    def training_step(self, batch):
        loss = (self.a(batch) + self.b(batch)).square().mean()
        if self.manual:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return {"loss": loss, "seen": batch} if self.as_dict else loss

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.seen.append(dict(self.trainer.callback_metrics))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Dicts(Plain):
    as_dict = True


class Manual(Plain):
    manual = True


class Mixin(TiedModule, Plain):
    def __init__(self) -> None:
        super().__init__()
        self.tie_network(SPEC)


def fit(module, tmp_path, steps=3):
    data = torch.randn(4 * steps, 3, generator=torch.Generator().manual_seed(1))
    trainer = pl.Trainer(
        max_steps=steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(data, batch_size=4))
    return data


def train_by_hand(module, data, penalized=True):
    weights = [module.a.weight, module.b.weight, module.center.weight]
    a, b, c = (weight.detach().clone().requires_grad_() for weight in weights)
    optimizer = torch.optim.SGD([a, b, c], lr=0.1)
    for batch in data.split(4):
        loss = (batch @ a.t() + batch @ b.t()).square().mean()
        if penalized:
            loss = loss + 0.1 * ((a - c).square().sum() + (b - c).square().sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return a, b, c


@pytest.mark.parametrize("kind", [Plain, Dicts, Mixin])
def test_training_follows_the_penalized_loss(kind, tmp_path):
    module = kind()
    if kind is not Mixin:
        tie(module, SPEC)
        add_penalty(module)
        add_penalty(module)  # the second call adds nothing
    start = copy.deepcopy(module)
    data = fit(module, tmp_path)
    wanted = train_by_hand(start, data)
    for one, other in zip((module.a.weight, module.b.weight, module.center.weight), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert len(module.seen) == 3 and all(float(seen["tying/penalty"]) > 0 for seen in module.seen)


def test_manual_optimization_adds_its_own(tmp_path):
    module = Manual()
    tie(module, SPEC)
    add_penalty(module)
    start = copy.deepcopy(module)
    data = fit(module, tmp_path)
    wanted = train_by_hand(start, data, penalized=False)
    torch.testing.assert_close(module.center.weight, wanted[2])
    torch.testing.assert_close(module.a.weight, wanted[0], rtol=1e-5, atol=1e-6)


def test_without_a_penalty_the_module_is_left_alone():
    module = Plain()
    tie(module, {"share": ["{m:a|b}.weight = W"]})
    add_penalty(module)
    assert "training_step" not in vars(module)


def test_copies_and_pickles_reckon_with_their_own_weights():
    module = Mixin()
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        with torch.no_grad():
            other.a.weight.add_(1)
        batch = torch.ones(2, 3)
        assert other.training_step.args[0] is other
        expected = (other.a(batch) + other.b(batch)).square().mean() + reckon_penalty(other)
        torch.testing.assert_close(other.training_step(batch), expected)
