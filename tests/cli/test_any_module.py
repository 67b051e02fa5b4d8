"""`lightning-tying fit --model my_project.MyModule --sharing spec.yaml`, and LightningCLI itself with our tasks."""

from __future__ import annotations

import importlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningCLI
from torch import nn

from lightning_tying.cli import main
from lightning_tying.errors import ConfigError
from lightning_tying.tasks import TiedModule

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MODULE = '''
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def make(width):
    return nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))


class Eager(LightningModule):
    def __init__(self, width: int = 4, lr: float = 0.1):
        super().__init__()
        self.save_hyperparameters()
        self.build()

    def build(self):
        self.net = make(self.hparams.width)

    def training_step(self, batch, batch_idx):
        return (self.net(batch[0]) - 1).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    test_step = validation_step

    def predict_step(self, batch, batch_idx):
        return self.net(batch[0])

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)


class Lazy(Eager):
    def build(self):
        """Later."""

    def configure_model(self):
        if not hasattr(self, "net"):
            self.net = make(self.hparams.width)


class Two(Eager):
    def __init__(self, width: int = 4, lr: float = 0.1):
        super().__init__(width, lr)
        self.automatic_optimization = False

    def configure_optimizers(self):
        return [torch.optim.SGD(self.net[0].parameters(), lr=0.1), torch.optim.Adam(self.net[2].parameters(), lr=0.1)]


class Data(LightningDataModule):
    def train_dataloader(self):
        generator = torch.Generator().manual_seed(0)
        return DataLoader(TensorDataset(torch.randn(16, 4, generator=generator)), batch_size=4)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader
'''
SPECS = {
    "alias": "share: [{tie: [net.0.weight, net.2.weight]}]",
    "transposed": "share: [net.0.weight = W, net.2.weight = t(W)]",
    "delta": "share: ['net.{l:int}.weight = W + low_rank(2)']",
}
COMMON = ["--data=my_project.Data", "--trainer.max_epochs=2", "--trainer.accelerator=cpu"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with a module that knows nothing of this package."""
    (tmp_path / "my_project.py").write_text(MODULE)
    for name, text in SPECS.items():
        (tmp_path / f"{name}.yaml").write_text(f"version: 1\n{text}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delitem(__import__("sys").modules, "my_project", raising=False)
    return tmp_path


def command(name: str, kind: str, *more: str) -> int:
    return main([name, f"--model=my_project.{kind}", *COMMON, *more])


@pytest.mark.parametrize(
    ("spec", "kind"), [("alias", "Eager"), ("alias", "Lazy"), ("transposed", "Eager"), ("delta", "Lazy")]
)
def test_all_commands_tie_a_module_from_yaml_alone(spec: str, kind: str, project: Path, capfd: Any) -> None:
    sharing = f"--sharing={spec}.yaml"
    assert command("fit", kind, sharing) == 0
    content = torch.load(project / "runs/run/last.ckpt", weights_only=True)
    assert content["global_step"] == 8 and content["sharing"]["spec"].startswith("version: 1\nshare:\n")
    groups = content["optimizer_states"][0]["param_groups"]
    assert len(groups[0]["params"]) == {"alias": 3, "transposed": 3, "delta": 7}[spec]
    if spec == "alias":
        names = ("net.0.weight", "net.2.weight")
        first, second = (content["state_dict"].get(name) for name in names)
        assert first is None or second is None or torch.equal(first, second)
    for name in ("validate", "test", "predict"):
        assert command(name, kind, sharing) == 0, name
    assert "best.ckpt" in capfd.readouterr().err
    resumed = ["--trainer.max_epochs=3", "--ckpt_path=runs/run/last.ckpt"]
    assert command("fit", kind, sharing, *resumed) == 0
    assert torch.load(project / "runs/run/last.ckpt", weights_only=True)["global_step"] == 12


def test_a_run_that_goes_on_ends_like_the_whole_one(project: Path) -> None:
    kind = "Lazy"
    sharing, folder = "--sharing=alias.yaml", "--trainer.default_root_dir"
    assert command("fit", kind, sharing, f"{folder}=whole") == 0
    assert command("fit", kind, sharing, f"{folder}=half", "--trainer.max_epochs=1") == 0
    assert command("fit", kind, sharing, f"{folder}=half", "--ckpt_path=half/last.ckpt") == 0
    whole, half = (torch.load(project / name / "last.ckpt", weights_only=True) for name in ("whole", "half"))
    assert whole["state_dict"].keys() == half["state_dict"].keys()
    for name, value in whole["state_dict"].items():
        assert torch.equal(value, half["state_dict"][name]), name


@pytest.mark.parametrize("kind", ["Eager", "Lazy"])
def test_plan_and_discover_see_the_same_ties(kind: str, project: Path, capsys: Any) -> None:
    words = [f"--model=my_project.{kind}", "--sharing=alias.yaml"]
    assert main(["plan", *words]) == 0
    assert "net.{0, 2}.weight" in capsys.readouterr().out
    assert main(["discover", *words]) == 0
    assert 'tie: ["net.*.weight"]' in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["Eager", "Lazy"])
def test_untied_weights_are_refused_or_settled(kind: str, project: Path, capsys: Any) -> None:
    assert command("fit", kind, "--trainer.default_root_dir=untied") == 0
    load = ["--sharing=alias.yaml", "--trainer.max_epochs=4", "--ckpt_path=untied/last.ckpt"]
    assert command("fit", kind, *load) == 2
    assert "`net.0.weight` is one parameter" in capsys.readouterr().err
    start = ["--sharing=alias.yaml", "--init_from=untied/last.ckpt"]
    assert command("fit", kind, *start) == 0
    assert command("validate", kind, "--sharing=alias.yaml", "--ckpt_path=untied/last.ckpt", "--on_conflict=mean") == 0
    assert command("validate", kind, "--sharing=alias.yaml", "--on_conflict=first") == 2
    assert "on_conflict" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "spec", "said"),
    [
        ("Two", "alias", "held by optimizer 0 (SGD) and optimizer 1 (Adam)"),
        ("Lazy", "wrong", "net.7.weight"),
        ("Eager", "wrong", "net.7.weight"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(kind: str, spec: str, said: str, project: Path, capsys: Any) -> None:
    (project / "wrong.yaml").write_text("version: 1\nshare: [{tie: [net.0.weight, net.7.weight]}]\n")
    assert command("fit", kind, f"--sharing={spec}.yaml") == 2
    message = capsys.readouterr().err
    assert said in message and "Traceback" not in message


def test_as_a_program(run: Run, project: Path) -> None:
    done = run("fit", "--model=my_project.Lazy", "--sharing=alias.yaml", *COMMON, PYTHONPATH=f"{project}")
    assert done.returncode == 0, done.stderr
    assert "% saved)" in done.stderr and (project / "runs/run/last.ckpt").is_file()


@pytest.mark.parametrize(
    ("late", "more"),
    [(False, []), (False, ["--optimizer=SGD", "--optimizer.lr=0.1"]), (True, [])],
)
def test_lightnings_own_cli_ties_and_its_optimizer_has_no_orphan(late: bool, more: list[str], project: Path) -> None:
    cli: Any = vanilla(late, *more)
    network = cli.model.network
    assert network[0].weight is network[2].weight
    held = [each for group in cli.trainer.optimizers[0].param_groups for each in group["params"]]
    assert {id(each) for each in held} == {id(each) for each in cli.model.parameters()} and len(held) == 3


def test_lightnings_own_optimizer_comes_too_early_for_a_lazy_module(project: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no parameters yet: its network is built and tied in `configure_model`"):
        vanilla(True, "--optimizer=SGD", "--optimizer.lr=0.1")


class Ours(TiedModule, LightningModule):
    def __init__(self, sharing: dict[str, Any] | str | None = None, late: bool = False) -> None:
        super().__init__()
        if not late:
            self.network = make_network()
        self.tie_network(sharing, build=make_network if late else None)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self.network(batch[0]) - 1).square().mean()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def make_network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))


def vanilla(late: bool, *more: str) -> LightningCLI:
    data: Any = importlib.import_module("my_project").Data
    words = ["--trainer.logger=false", "--trainer.max_epochs=1", "--trainer.accelerator=cpu",
             "--trainer.enable_checkpointing=false", "--trainer.enable_progress_bar=false",
             "--model.sharing={share: [{tie: [0.weight, 2.weight]}]}", f"--model.late={str(late).lower()}"]  # fmt: skip
    return LightningCLI(Ours, data, save_config_callback=None, args=["fit", *words, *more])
