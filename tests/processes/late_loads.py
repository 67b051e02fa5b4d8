"""Loads of a sharded module, whose strategy reads weights before the module sees the checkpoint: one process.

Usage: late_loads.py OUT. Writes OUT/found.json: for each load the error, or how far the weights are from
what they should be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard

from lightning_tying import verify
from lightning_tying.errors import TyingError
from lightning_tying.tasks import TiedModule

SPEC = {"share": [{"tie": ["first.weight", "last.weight"], "name": "W"}]}
OTHER = {"share": [{"tie": ["first.bias", "last.bias"], "name": "b"}]}


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, rows: Tensor) -> Tensor:
        return self.last(self.first(rows))


class Plain(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = Layers()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.network(batch)


class Sharded(Plain):
    def configure_model(self) -> None:
        fully_shard(self.network, mesh=self.device_mesh["data_parallel"])


class Net(TiedModule, Plain):
    def __init__(self, sharing: Any = SPEC, on_conflict: Any = "error") -> None:
        super().__init__()
        self.tie_network(sharing, on_conflict=on_conflict)


def trainer(sharded: bool) -> Trainer:
    strategy: Any = ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=1) if sharded else "auto"
    return Trainer(
        accelerator="cpu", devices=1, strategy=strategy, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def save(module: LightningModule, path: Path, sharded: bool = False) -> None:
    runner = trainer(sharded)
    runner.validate(module, torch.ones(1, 4), verbose=False)
    runner.save_checkpoint(path)


def load(net: Net, path: Path, wanted: dict[str, Tensor] | None = None) -> str | float:
    """The error, or the largest difference from the weights that are wanted."""
    try:
        trainer(True).validate(net, torch.ones(1, 4), ckpt_path=path, verbose=False)
    except TyingError as error:
        return f"{type(error).__name__}: {error}"
    verify(net.network)
    found = {name: p.full_tensor() for name, p in net.named_parameters(remove_duplicate=False)}
    assert wanted is not None and net.strict_loading
    return max(float((found[name].detach() - value).abs().max()) for name, value in wanted.items())


def main(out: Path) -> None:
    torch.manual_seed(0)
    tied, plain, folder, bare = (out / f"{name}.ckpt" for name in ("tied", "plain", "folder", "bare"))
    save(Net(), tied)
    save(Plain(), plain)
    save(Net(), folder, sharded=True)
    save(Sharded(), out / "plain_folder.ckpt", sharded=True)
    content = torch.load(tied, weights_only=True)
    weights = dict(content["state_dict"])
    del content["state_dict"]["network.first.weight"]  # the owner's name; the alias stays
    torch.save(content, bare)
    own = torch.load(plain, weights_only=True)["state_dict"]
    names = ("network.first.weight", "network.last.weight")
    mean = (own[names[0]].double() + own[names[1]].double()).float() / 2
    lacking = torch.load(bare, weights_only=True)
    del lacking["state_dict"]["network.first.bias"]
    torch.save(lacking, out / "lacking.ckpt")
    found: dict[str, str | float] = {
        "same": load(Net(), tied, weights),
        "other spec": load(Net(OTHER), tied),
        "other spec, folder": load(Net(OTHER), folder),
        "without an alias": load(Net(), bare, weights),
        "plain": load(Net(), plain),
        "plain, owner": load(Net(on_conflict="owner"), plain, own | dict.fromkeys(names, own[names[0]])),
        "plain, mean": load(Net(on_conflict="mean"), plain, own | dict.fromkeys(names, mean)),
        "lacking": load(Net(), out / "lacking.ckpt"),
        "plain, folder": load(Net(), out / "plain_folder.ckpt"),
        "plain, untie": load(Net(on_conflict="untie"), plain),
    }
    (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
