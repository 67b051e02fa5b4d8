"""`safetensors.torch.load_model` and a LightningModule with a tied network inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn

from lightning_tying.tasks import TiedModule
from lightning_tying.tasks.tie_any import tie_any

SPEC: dict[str, Any] = {"share": [{"tie": ["embed.weight", "head.weight"]}]}


def make_network() -> nn.Module:
    return nn.ModuleDict({"embed": nn.Embedding(6, 4), "head": nn.Linear(4, 6, bias=False)})


class Tied(TiedModule, LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = make_network()
        self.tie_network(SPEC)


class Foreign(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.inside = make_network()


def make_foreign() -> LightningModule:
    module = Foreign()
    tie_any(module, {"root": "inside", **SPEC})
    module.configure_model()
    return module


@pytest.mark.parametrize("make", [Tied, make_foreign])
def test_safetensors_loads_a_tied_lightning_module(make: Any, tmp_path: Path) -> None:
    library = pytest.importorskip("safetensors.torch")
    source, target = make(), make()
    library.save_model(source, str(tmp_path / "w.safetensors"))
    assert library.load_model(target, str(tmp_path / "w.safetensors")) == (set(), [])
    assert torch.equal(next(source.parameters()), next(target.parameters()))
