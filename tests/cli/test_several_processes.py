"""`lightning-tying fit` on two processes that Lightning starts itself: they get the same words and do the same run."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml

Run = Callable[..., "subprocess.CompletedProcess[str]"]
MODULE = """
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)

    def forward(self, rows):
        return rows + self.down(torch.tanh(self.up(rows)))


class Lazy(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = None

    def configure_model(self):
        if self.net is None:
            torch.manual_seed(0)
            self.net = nn.Sequential(Block(), Block())

    def training_step(self, batch, batch_idx):
        loss = (self.net(batch[0]) - 1).square().mean()
        print(f"loss {self.global_rank} {loss.item():.5f}", flush=True)
        return loss

    def train_dataloader(self):  # the same rows for every process
        return DataLoader(TensorDataset(torch.linspace(-1, 1, 32).view(8, 4)), batch_size=4)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)
"""
RUN = {
    "model": "lazy_module.Lazy",
    "sharing": {"version": 1, "share": ["net.{l}.up.weight = W[l]", "net.{l}.down.weight = t(W[l])"]},
    "trainer": {
        "accelerator": "cpu", "max_epochs": 2, "logger": False, "enable_progress_bar": False,
        "use_distributed_sampler": False, "default_root_dir": "here",
    },
}  # fmt: skip
MESH = "lightning.pytorch.strategies.ModelParallelStrategy"
TENSOR = {"class_path": MESH, "init_args": {"data_parallel_size": 1, "tensor_parallel_size": 2}}
STYLES = {"net.{l}.up": "colwise", "net.{l}.down": "rowwise"}


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory, run_in: Callable[[Path], Run]) -> list[str]:
    """What one process prints."""
    return _fit(run_in, tmp_path_factory.mktemp("alone"), {}, 1)[0]


@pytest.mark.parametrize(
    ("trainer", "more"),
    [({"strategy": "ddp"}, {}), ({"strategy": TENSOR}, {"tensor_parallel": STYLES})],
    ids=["ddp", "tensor_parallel"],
)
def test_two_processes_train_as_one(
    trainer: dict[str, object],
    more: dict[str, object],
    run_in: Callable[[Path], Run],
    losses: list[str],
    tmp_path: Path,
) -> None:
    found = _fit(run_in, tmp_path, {"trainer": {**trainer, "devices": 2}, **more}, 2)
    assert found == [losses, losses] and len(losses) == 4 and losses[0] != losses[-1]
    files = [path for path in (tmp_path / "here").iterdir() if path.suffix == ".ckpt" and not path.is_symlink()]
    assert files
    if "tensor_parallel" not in more:
        assert all(torch.load(path, weights_only=True)["global_step"] == 4 for path in files)


def _fit(run_in: Callable[[Path], Run], folder: Path, more: dict[str, object], processes: int) -> list[list[str]]:
    (folder / "lazy_module.py").write_text(MODULE, encoding="utf-8")
    config = {**RUN, **more, "trainer": {**RUN["trainer"], **more.get("trainer", {})}}  # type: ignore[dict-item]
    (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    done = run_in(folder)("fit", "--config", "run.yaml")
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-2500:]
    told = re.findall(r"loss (\d) (\d+\.\d{5})", done.stdout)  # two processes write into one line at times
    return [[loss for rank, loss in told if rank == str(each)] for each in range(processes)]
