"""`lightning.pytorch` and `pytorch_lightning` modules are tied alike."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying import get_plan, verify
from lightning_tying.tasks import TiedModule


@pytest.mark.parametrize("package", ["lightning.pytorch", "pytorch_lightning"])
def test_a_user_module_of_either_package_trains_tied(package: str, tmp_path: Path) -> None:
    lightning: Any = importlib.import_module(package)

    class Net(TiedModule, lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
            self.tie_network({"share": [{"tie": ["0.weight", "2.weight"]}]})

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self.network(batch[0]).square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    net = Net()
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(8, 4)), batch_size=4)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(net, data)
    verify(net.network)
    assert net.network[0].weight is net.network[2].weight
    assert len(get_plan(net.network).graph.groups) == 1
    checkpoints = list(tmp_path.rglob("*.ckpt"))
    assert len(checkpoints) == 1
    again = Net()
    again.load_state_dict(torch.load(checkpoints[0], weights_only=True)["state_dict"])
    assert torch.equal(again.network[0].weight, net.network[0].weight)
