"""Every spec of the matrix on wide tables goes in; the bytes of its real checkpoints come out, beside what is unique.

As a process of its own (`python -m tests.processes.checkpoint_sizes OUT`) it writes sharded ones, of one process, and
OUT/sizes.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, TypedDict

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor
from torch.distributed.checkpoint import FileSystemReader
from torch.utils.data import DataLoader

from lightning_tying.tasks import TiedModule
from tests.matrix import networks
from tests.matrix.cases import CASES, Case

VOCABULARY, DIM = 3000, 48  # a table of 576 kB: written once more than needed, it is seen


class Sizes(TypedDict):
    """Bytes: of unique tensors, of the file with weights alone, with AdamW's moments, and of the tensors in it."""

    weights: int
    trained: int
    weights_file: int
    trained_file: int
    tensors: int
    entries: int


class Net(TiedModule, LightningModule):
    def __init__(self, case: Case) -> None:
        super().__init__()
        self.case, self.network = case, case.network()
        self.tie_network(case.spec)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.case.loss(self.network, batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW([parameter for parameter in self.parameters() if parameter.requires_grad])

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader([self.case.draw(torch.Generator().manual_seed(1))], batch_size=None)


def widen() -> None:
    networks.VOCABULARY, networks.DIM = VOCABULARY, DIM


def measure(name: str, out: Path, strategy: Any = "auto") -> Sizes:
    """Train one step and save, with the optimizer and without."""
    torch.manual_seed(0)
    net = Net(CASES[name])
    unique = {id(parameter): parameter for parameter in net.parameters()}.values()  # before it is sharded
    weights = sum(each.nbytes for each in unique)
    moments = 2 * sum(each.nbytes for each in unique if each.requires_grad)
    trainer = Trainer(
        accelerator="cpu", devices=1, strategy=strategy, max_steps=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(net)
    trainer.save_checkpoint(out / f"{name}.ckpt")
    trainer.save_checkpoint(out / f"{name}.weights.ckpt", weights_only=True)
    tensors, entries = measure_tensors(out / f"{name}.ckpt")
    return Sizes(
        weights=weights, trained=weights + moments, weights_file=measure_file(out / f"{name}.weights.ckpt"),
        trained_file=measure_file(out / f"{name}.ckpt"), tensors=tensors, entries=entries,
    )  # fmt: skip


def measure_file(path: Path) -> int:
    return sum(part.stat().st_size for part in path.rglob("*")) if path.is_dir() else path.stat().st_size


def measure_tensors(path: Path) -> tuple[int, int]:
    """The bytes of all tensors that a checkpoint holds, each storage once, and how many there are."""
    if path.is_dir():
        held = FileSystemReader(path).read_metadata().state_dict_metadata.values()
        tensors = [each for each in held if hasattr(each, "chunks")]
        sizes = [chunk.sizes.numel() * each.properties.dtype.itemsize for each in tensors for chunk in each.chunks]
        return sum(sizes), len(sizes)
    content = torch.load(path, map_location="cpu", weights_only=True)
    found: dict[int, int] = {}
    for state in (content["state_dict"], *content["optimizer_states"][0]["state"].values()):
        for tensor in state.values():
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
    return sum(found.values()), len(found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    widen()
    folder = Path(sys.argv[1])
    sizes = {
        name: measure(name, folder, ModelParallelStrategy(data_parallel_size=1, tensor_parallel_size=1))
        for name in CASES
    }
    (folder / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
