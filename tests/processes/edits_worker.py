"""A training whose sharing is edited, under DDP or killed in between; a process of its own.

Usage: edits_worker.py OUT JOB, with the variables of torchrun. JOB is one of
  whole              edits at steps 2, 4 and 6; nothing ends it
  killed             the same; saves every step, and gets SIGKILL after step 5
  resumed            goes on from what `killed` left
  epochs             a split and a join at the start of the second and third epoch, on every rank
  unwrapped          the same, and DDP is not made anew
  disagree           each rank would do another edit
  fsdp2              an edit under ModelParallelStrategy
  late               an edit in the middle of an epoch
Every rank writes weights, moments and what was refused to OUT/JOB<rank>.pt.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from lightning_tying import verify
from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import TiedModule
from lightning_tying.tasks.edits import edit, join_in_training, split_in_training

STEPS, ROWS, LENGTH, VOCABULARY = 8, 4, 9, 40
SPEC = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name]"]}
UP, DOWN = ([f"layers.{layer}.mlp.{name}.weight" for layer in range(3)] for name in ("up", "down"))


class Batches(IterableDataset[Tensor]):
    """The same global batches in every epoch; rank r takes every `world`-th row."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[Tensor]:
        for step in range(3):
            yield batch_of(step)[self.rank :: self.world]


def batch_of(step: int) -> Tensor:
    return torch.randint(0, VOCABULARY, (ROWS, LENGTH), generator=torch.Generator().manual_seed(step))


class Model(TiedModule, LightningModule):
    def __init__(self, by_step: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.by_step = by_step
        self.network = DecoderLM(vocab_size=VOCABULARY, dim=8, depth=3, heads=2, dropout=0.1 if by_step else 0.0)
        self.tie_network(SPEC)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        if self.by_step:  # the same numbers in a run that goes on, of dropout too
            torch.manual_seed(self.trainer.global_step)
            batch = batch_of(self.trainer.global_step)
        return functional.cross_entropy(self.network(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-2, eps=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=2 * STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> Any:
        if self.by_step:
            numbers: Any = list(range(STEPS))
            return DataLoader(numbers)
        return DataLoader(Batches(self.global_rank, self.trainer.world_size), batch_size=None)


class BySteps(Callback):
    def __init__(self, out: Path, kill: int | None) -> None:
        self.out, self.kill = out, kill

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        match trainer.global_step:
            case 2:
                split_in_training(pl_module, "block[mlp.up.weight]", [UP[:1], UP[1:]])
            case 4:
                split_in_training(pl_module, "embed.weight", [["embed.weight"], ["head.weight"]])
            case 6:
                join_in_training(pl_module, [UP[0], "block_2[mlp.up.weight]"])
            case _:
                pass

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.kill is not None:
            trainer.save_checkpoint(self.out / "run.ckpt")
            if trainer.global_step == self.kill:
                os.kill(os.getpid(), signal.SIGKILL)


class ByEpochs(Callback):
    def __init__(self, job: str) -> None:
        self.job, self.refused = job, ""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.job == "fsdp2":
            self._try(pl_module, [UP[:1], UP[1:]])
        elif self.job == "disagree":
            cut = 1 + trainer.global_rank
            self._try(pl_module, [UP[:cut], UP[cut:]])
        elif self.job != "late" and trainer.current_epoch == 1:
            split_in_training(pl_module, "block[mlp.up.weight]", [UP[:1], UP[1:]])
            split_in_training(pl_module, "block[mlp.down.weight]", [[site] for site in DOWN])
        elif self.job != "late" and trainer.current_epoch == 2:
            join_in_training(pl_module, DOWN[:2])

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.job == "late" and batch_idx == 1:
            self._try(pl_module, [UP[:1], UP[1:]])

    def _try(self, module: LightningModule, parts: list[list[str]]) -> None:
        try:
            split_in_training(module, "block[mlp.up.weight]", parts)
        except ApplyError as error:
            self.refused = str(error)


def train(out: Path, job: str) -> None:
    torch.set_num_threads(1)
    by_step, world = job in ("whole", "killed", "resumed"), int(os.environ.get("WORLD_SIZE", "1"))
    if job == "unwrapped":
        setattr(edit, "wrap_again", lambda *_: None)  # noqa: B010  # what it would be without
    callback: Any = BySteps(out, 5 if job == "killed" else None) if by_step else ByEpochs(job)
    model = Model(by_step)
    strategy: Any = DDPStrategy(process_group_backend="gloo") if world > 1 else "auto"
    if job == "fsdp2":
        strategy = ModelParallelStrategy(process_group_backend="gloo")
    trainer = Trainer(
        accelerator="cpu", devices=world, strategy=strategy, max_steps=STEPS if by_step else -1, max_epochs=3,
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[callback], use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(model, ckpt_path=str(out / "run.ckpt") if job == "resumed" else None, weights_only=True)
    verify(model.network)
    whole = {} if job == "fsdp2" else dict(model.network.named_parameters(remove_duplicate=False))
    content = {
        "weights": {name: one.detach() for name, one in whole.items()},
        "moments": [trainer.optimizers[0].state[one]["exp_avg_sq"] for one in model.parameters() if whole],
        "edits": [str(record) for record in model.tied_edits],
        "refused": getattr(callback, "refused", ""),
    }
    torch.save(content, out / f"{job}{trainer.global_rank}.pt")


if __name__ == "__main__":
    train(Path(sys.argv[1]), sys.argv[2])
