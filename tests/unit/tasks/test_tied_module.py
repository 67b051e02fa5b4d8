"""The mixin: ties now or lazily, writes hparams, and refuses what would train something else than the module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_tying.errors import ConfigError, TieBroken
from lightning_tying.tasks import TiedModule

SPEC = {"share": [{"tie": ["0.weight", "2.weight"], "init": "mean"}]}


def make_network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))


class Net(TiedModule, LightningModule):
    def __init__(self, lazy: bool = False, sharing: Any = SPEC, **options: Any) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["options"])
        if not lazy:
            self.network = make_network()
        self.tie_network(sharing, build=make_network if lazy else None, **options)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.network(batch[0]).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(module: LightningModule, tmp_path: Path, **options: Any) -> Trainer:
    trainer = Trainer(
        max_steps=2, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=tmp_path, **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(torch.randn(8, 4)), batch_size=4))
    return trainer


@pytest.mark.parametrize("lazy", [False, True])
def test_network_is_tied_before_and_after_training(lazy: bool, tmp_path: Path) -> None:
    net = Net(lazy)
    assert (net.plan is None) == lazy
    fit(net, tmp_path)
    assert net.network[0].weight is net.network[2].weight


def test_configure_model_twice_keeps_the_network() -> None:
    net = Net(lazy=True)
    net.configure_model()
    first = net.network
    net.configure_model()
    assert net.network is first


def test_without_a_spec_nothing_is_tied(tmp_path: Path) -> None:
    net = Net(sharing=None)
    fit(net, tmp_path)
    assert net.plan is None
    assert net.network[0].weight is not net.network[2].weight
    assert net.hparams["sharing"] is None


def test_a_module_without_network_is_tied_itself() -> None:
    class Own(TiedModule, LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.tie_network({"share": [{"tie": ["a.weight", "b.weight"]}]})

    own = Own()
    assert own.a.weight is own.b.weight


def test_hparams_hold_the_content_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("version: 1\nshare:\n  - tie: [0.weight, 2.weight]\n")
    net = Net(sharing=str(file))
    file.unlink()
    assert isinstance(net.hparams["sharing"], dict)
    again = Net(**net.hparams)
    assert again.network[0].weight is again.network[2].weight


def test_a_checkpoint_loads_without_the_file_and_with_weights_only(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("version: 1\nshare:\n  - tie: [0.weight, 2.weight]\n")
    net = Net(sharing=str(file))
    trainer = fit(net, tmp_path)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    file.unlink()
    again = Net.load_from_checkpoint(tmp_path / "x.ckpt", weights_only=True)
    assert torch.equal(again.network[0].weight, net.network[2].weight)
    assert again.network[0].weight is again.network[2].weight


def test_a_checkpoint_of_another_spec_is_refused(tmp_path: Path) -> None:
    trainer = fit(Net(), tmp_path)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    other = Net(sharing={"share": [{"tie": ["0.bias", "2.bias"]}]})
    with pytest.raises(ConfigError, match="another sharing spec"):
        other.on_load_checkpoint(torch.load(tmp_path / "x.ckpt", weights_only=True))


def test_init_from_is_solved_into_the_spec(tmp_path: Path) -> None:
    source = make_network()
    torch.save({"state_dict": {f"network.{k}": v for k, v in source.state_dict().items()}}, tmp_path / "w.ckpt")
    for lazy in (False, True):
        net = Net(lazy, init_from=tmp_path / "w.ckpt")
        net.configure_model()
        assert torch.allclose(net.network[0].weight, (source[0].weight + source[2].weight) / 2)
        assert torch.equal(net.network[2].bias, source[2].bias)


def test_init_from_takes_a_plain_state_dict(tmp_path: Path) -> None:
    source = make_network()
    torch.save(source.state_dict(), tmp_path / "w.pt")
    net = Net(sharing=None, init_from=str(tmp_path / "w.pt"))
    assert torch.equal(net.network[2].weight, source[2].weight)


def test_init_from_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    torch.save({"0.weight": torch.zeros(3, 3)}, tmp_path / "w.pt")
    with pytest.raises(ConfigError, match=r"missing: 0\.bias.*\[3, 3\] in the file and \[4, 4\] in the network"):
        Net(init_from=tmp_path / "w.pt")
    with pytest.raises(ConfigError, match="do not exist"):
        Net(init_from=tmp_path / "none.pt")
    (tmp_path / "bad.pt").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot be read"):
        Net(init_from=tmp_path / "bad.pt")


def test_an_optimizer_made_too_early_is_refused(tmp_path: Path) -> None:
    class Early(Net):
        def __init__(self) -> None:
            super().__init__(sharing=None)
            self.made = torch.optim.SGD(self.parameters(), lr=0.1)
            self.tie_network(SPEC)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return self.made

    with pytest.raises(TieBroken, match="made before the network was tied"):
        fit(Early(), tmp_path)


def test_a_parameter_without_an_optimizer_is_refused(tmp_path: Path) -> None:
    class Partial(Net):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.network[0].parameters(), lr=0.1)

    with pytest.raises(TieBroken, match=r"does not hold network\.2\.bias"):
        fit(Partial(), tmp_path)


def test_a_tie_that_breaks_while_fit_starts_is_found(tmp_path: Path) -> None:
    class Breaking(Net):
        def configure_optimizers(self) -> torch.optim.Optimizer:
            self.network[2].weight = nn.Parameter(torch.zeros(4, 4))
            return super().configure_optimizers()

    with pytest.raises(TieBroken, match="at fit start"):
        fit(Breaking(), tmp_path)


def test_broken_ties_are_not_saved() -> None:
    net = Net()
    net.network[2].weight = nn.Parameter(torch.zeros(4, 4))
    with pytest.raises(TieBroken, match="before a save"):
        net.on_save_checkpoint({})


def test_a_network_maker_that_fails_is_named() -> None:
    net = Net()
    net.tie_network(None, build=lambda: 3)  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match=r"must give a torch\.nn\.Module"):
        net.configure_model()
