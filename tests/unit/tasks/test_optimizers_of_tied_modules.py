"""Optimizers: each trainable parameter once, in one of them; norms, accumulation, precision, toggling."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning
from lightning.pytorch.tuner import Tuner
from lightning.pytorch.utilities import grad_norm
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying import get_plan, verify
from lightning_tying.callbacks import SharedFinetuning
from lightning_tying.errors import TieBroken
from lightning_tying.tasks import TiedModule

ALIAS = {"share": [{"tie": ["0.weight", "2.weight"], "name": "W"}]}
TRANSPOSED = {"share": ["0.weight = W", "2.weight = t(W)"]}
DELTA = {"share": ["{l:int}.weight = W + low_rank(2)"]}
SPECS = {"alias": ALIAS, "transposed": TRANSPOSED, "delta": DELTA}
Maker = Callable[[Any], Any]


class Net(TiedModule, LightningModule):
    def __init__(self, make: Maker | None = None, spec: Any = ALIAS, batch_size: int = 4, lr: float = 0.1) -> None:
        super().__init__()
        self.save_hyperparameters("batch_size", "lr")
        self.make, self.seen, self.batch_size, self.lr = make, list[Any](), batch_size, lr
        torch.manual_seed(3)
        self.network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.tie_network(spec)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self.network(batch[0]) - 1).square().mean()

    def configure_optimizers(self) -> Any:
        return self.make(self) if self.make else SGD(self.parameters(), lr=self.lr)

    def train_dataloader(self) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(0)
        return DataLoader(TensorDataset(torch.randn(32, 4, generator=generator)), batch_size=self.batch_size)


def fit(module: LightningModule, tmp_path: Path, **options: Any) -> Trainer:
    trainer = Trainer(
        **{"max_epochs": 1, **options}, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module)
    return trainer


class Manual(Net):
    """Two optimizers, each for a half, as a GAN's."""

    def __init__(self, make: Maker, spec: Any = ALIAS) -> None:
        super().__init__(make, spec)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:
        for optimizer in self.optimizers():
            self.toggle_optimizer(optimizer)
            self.seen.append([name for name, each in self.named_parameters() if each.requires_grad])
            optimizer.zero_grad()
            self.manual_backward((self.network(batch[0]) - 1).square().mean())
            optimizer.step()
            self.untoggle_optimizer(optimizer)


def halves(net: Any) -> list[Optimizer]:
    return [SGD(net.network[0].parameters(), lr=0.1), Adam(net.network[2].parameters(), lr=0.1)]


def apart(net: Any) -> list[Optimizer]:
    return [SGD(net.network[0].parameters(), lr=0.1), Adam([net.network[2].bias], lr=0.1)]


def test_a_group_in_two_optimizers_is_named_with_both(tmp_path: Path) -> None:
    sites, optimizers = r"network\.0\.weight, network\.2\.weight", r"optimizer 0 \(SGD\) and optimizer 1 \(Adam\)"
    with pytest.raises(TieBroken, match=rf"`W` \(shared by {sites}\): held by {optimizers}"):
        fit(Manual(halves), tmp_path)


def test_computed_sites_of_one_group_belong_to_one_optimizer_too(tmp_path: Path) -> None:
    with pytest.raises(TieBroken, match=r"`W` \(shared by .*held by optimizer 0 \(SGD\) and optimizer 1 \(Adam\)"):
        fit(Manual(halves, DELTA), tmp_path)


def test_toggling_keeps_requires_grad_of_shared_parameters_right(tmp_path: Path) -> None:
    module = Manual(apart)
    before = {name: value.clone() for name, value in module.named_parameters()}
    fit(module, tmp_path, max_steps=4)
    assert module.seen[:2] == [["network.0.weight", "network.0.bias"], ["network.2.bias"]]
    assert all(each.requires_grad for each in module.parameters())
    assert all(not torch.equal(before[name], value) for name, value in module.named_parameters())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda net: SGD(net.network[0].parameters(), lr=0.1), r"does not hold network\.2\.bias"),
        (lambda net: SGD([net.network[2].bias, net.network[0].bias], lr=0.1), r"does not hold `W` \(shared by"),
        (
            lambda net: SGD([*net.parameters(), nn.Parameter(torch.ones(2))], lr=0.1),
            r"1 parameter\(s\) that the module",
        ),
    ],
)
def test_missing_and_foreign_parameters_are_named(make: Maker, said: str, tmp_path: Path) -> None:
    with pytest.raises(TieBroken, match=said):
        fit(Net(make), tmp_path)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
def test_a_parameter_twice_in_one_optimizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TieBroken, match=r"`W` .* more than once"):
        fit(Net(lambda net: SGD([*net.parameters(), net.network[2].weight], lr=0.1)), tmp_path)


def test_frozen_parameters_and_runs_without_an_optimizer_pass(tmp_path: Path) -> None:
    class Frozen(Net):
        def __init__(self, make: Maker | None) -> None:
            super().__init__(make)
            self.network[0].weight.requires_grad_(False)

    fit(Frozen(lambda net: SGD([net.network[0].bias, net.network[2].bias], lr=0.1)), tmp_path)
    fit(Frozen(None), tmp_path)
    fit(Frozen(lambda net: None), tmp_path)


class Head(BaseFinetuning):
    def freeze_before_training(self, pl_module: Any) -> None:
        self.freeze(pl_module.network[2])

    def finetune_function(self, pl_module: Any, epoch: int, optimizer: Optimizer) -> None:
        if epoch == 1:
            self.unfreeze_and_add_param_group([pl_module.network[2], pl_module.network[0]], optimizer, lr=0.01)


class SharedHead(SharedFinetuning):
    freeze_before_training = Head.freeze_before_training
    finetune_function = Head.finetune_function


def trainable(net: Any) -> Optimizer:
    return SGD([each for each in net.parameters() if each.requires_grad], lr=0.1)


@pytest.mark.filterwarnings("ignore")
def test_lightnings_unfreezing_adds_a_shared_parameter_twice_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TieBroken, match=r"`W` .* more than once.*SharedFinetuning"):
        fit(Net(trainable), tmp_path, max_epochs=3, callbacks=[Head()])


@pytest.mark.parametrize("spec", SPECS)
def test_unfreezing_by_identity_adds_each_parameter_once(
    spec: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    module = Net(trainable, SPECS[spec])
    with caplog.at_level("INFO"):
        trainer = fit(module, tmp_path, max_epochs=3, callbacks=[SharedHead()])
    (optimizer,) = trainer.optimizers
    held = [id(each) for group in optimizer.param_groups for each in group["params"]]
    assert sorted(held) == sorted(id(each) for each in module.parameters()) and len(set(held)) == len(held)
    assert optimizer.param_groups[1]["lr"] == 0.01
    assert "SharedHead freezes the sharing group `" in caplog.text + capfd.readouterr().err
    verify(module.network)


def test_layers_with_equal_values_are_both_unfrozen() -> None:
    norms = [nn.LayerNorm(4), nn.LayerNorm(4)]
    optimizer = SGD(norms[0].parameters(), lr=0.5)
    SharedFinetuning.unfreeze_and_add_param_group(norms, optimizer)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2]
    assert optimizer.param_groups[1]["lr"] == 0.05
    SharedFinetuning.unfreeze_and_add_param_group(norms, optimizer)
    assert len(optimizer.param_groups) == 2


class Norms(Callback):
    """The gradient's norm, by Lightning and by hand: the sum of the squares of each parameter, once."""

    def __init__(self) -> None:
        self.found: list[tuple[float, float]] = []
        self.clipped: list[float] = []
        self.largest: list[float] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        network: Any = pl_module.network
        parts = [network[0].weight, network[0].bias, network[2].bias]
        by_hand = sum(float(each.grad.double().square().sum()) for each in parts) ** 0.5
        self.found.append((float(grad_norm(pl_module, 2)["grad_2.0_norm_total"]), by_hand))

    def on_before_zero_grad(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        grads = [each.grad for each in pl_module.parameters() if each.grad is not None]
        if grads:
            self.clipped.append(float(torch.cat([each.flatten() for each in grads]).norm()))
            self.largest.append(max(float(each.abs().max()) for each in grads))


def test_clipping_by_norm_counts_a_shared_tensor_once(tmp_path: Path) -> None:
    norms = Norms()
    fit(Net(), tmp_path, gradient_clip_val=0.05, gradient_clip_algorithm="norm", callbacks=[norms])
    assert norms.found and all(found == pytest.approx(by_hand, rel=1e-5) for found, by_hand in norms.found)
    assert all(by_hand > 0.05 for _, by_hand in norms.found)
    assert norms.clipped[:-1] and all(norm == pytest.approx(0.05, rel=1e-3) for norm in norms.clipped)


def test_clipping_by_value_bounds_the_sum_of_all_uses(tmp_path: Path) -> None:
    norms = Norms()
    fit(Net(), tmp_path, gradient_clip_val=0.01, gradient_clip_algorithm="value", callbacks=[norms])
    assert norms.largest and all(largest == pytest.approx(0.01) for largest in norms.largest)


@pytest.mark.parametrize("spec", SPECS)
def test_accumulation_equals_the_large_batch(spec: str, tmp_path: Path) -> None:
    parts, whole = Net(spec=SPECS[spec], batch_size=4), Net(spec=SPECS[spec], batch_size=8)
    fit(parts, tmp_path, accumulate_grad_batches=2)
    fit(whole, tmp_path)
    for (name, one), (_, other) in zip(parts.named_parameters(), whole.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("spec", SPECS)
def test_bf16_mixed_trains_near_float32(spec: str, tmp_path: Path) -> None:
    exact, mixed = Net(spec=SPECS[spec]), Net(spec=SPECS[spec])
    fit(exact, tmp_path)
    fit(mixed, tmp_path, precision="bf16-mixed")
    verify(mixed.network)
    for one, other in zip(exact.parameters(), mixed.parameters(), strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("spec", SPECS)
def test_the_tuners_finders_keep_ties_and_weights(spec: str, tmp_path: Path) -> None:
    module = Net(lambda net: AdamW(net.parameters(), lr=net.lr), SPECS[spec], batch_size=2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    plan = get_plan(module.network)
    options = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    for find in (
        lambda tuner: tuner.lr_find(module, num_training=8, update_attr=True),
        lambda tuner: tuner.scale_batch_size(module, steps_per_trial=1, max_trials=2),
    ):
        trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **options)
        find(Tuner(trainer))
        verify(module.network)
        assert get_plan(module.network) is plan
        assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module.batch_size > 2
    trainer = fit(module, tmp_path)
    verify(module.network)
    held = trainer.optimizers[0].param_groups[0]["params"]
    assert {id(each) for each in held} == {id(each) for each in module.parameters()}
