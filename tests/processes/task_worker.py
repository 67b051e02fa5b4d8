"""A tiny tied language model on text files under Lightning's Trainer, started as a process of its own by the tests.

Usage: task_worker.py COMMAND OUT TEXTS CACHE CHECKPOINT STEPS DEVICES BATCH. COMMAND is `fit` (from the beginning, or
resumed where CHECKPOINT is a file) or `use` (test, predict and load CHECKPOINT). Each rank writes OUT/rank<r>.pt.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from lightning_tying import build, verify
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.data import TextFiles
from lightning_tying.tasks import LanguageModeling

ROWS = 300
SHARING = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, cycle(l, 2)]"]}
SIZES = {"vocab_size": ROWS, "dim": 16, "depth": 4, "heads": 2}
CONFIG = {
    "class_path": "lightning_tying.tasks.LanguageModeling",
    "init_args": {
        "network": {"class_path": "lightning_tying.models.DecoderLM", "init_args": SIZES},
        "sharing": SHARING,
        "prompt_tokens": 4,
        "new_tokens": 4,
    },
}


class Losses(Callback):
    """The loss of every step, as it is."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_arguments: Any) -> None:
        self.found.append(float(outputs["loss"]))


def make_trainer(out: Path, devices: int, **options: Any) -> Trainer:
    return Trainer(
        accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto", default_root_dir=out,
        logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, limit_val_batches=0, **options,
    )  # fmt: skip


def fit(out: Path, data: TextFiles, checkpoint: Path, steps: int, devices: int) -> dict[str, Any]:
    task, losses = build(CONFIG), Losses()
    keep = RunCheckpoint(out)
    trainer = make_trainer(out, devices, max_steps=steps, callbacks=[losses, keep])
    trainer.fit(task, data, ckpt_path=checkpoint if checkpoint.is_file() else None, weights_only=True)
    rank = trainer.global_rank
    result: dict[str, Any] = {"losses": losses.found, "step": trainer.global_step, "rank": rank}
    return result | look_at(task) | (measure(out, task, data) if devices == 1 else {})


def use(out: Path, data: TextFiles, checkpoint: Path) -> dict[str, Any]:
    task = LanguageModeling.load_from_checkpoint(checkpoint, weights_only=True)
    result = {"rank": 0, "loaded": look_at(task), **measure(out, build(CONFIG), data, checkpoint)}
    return result | {"own": measure(out, task, data)}


def measure(out: Path, task: Any, data: TextFiles, checkpoint: Path | None = None) -> dict[str, Any]:
    trainer = make_trainer(out, 1)
    tested = trainer.test(task, data, ckpt_path=checkpoint, weights_only=True, verbose=False)
    texts = trainer.predict(task, data, ckpt_path=checkpoint, weights_only=True)
    return {"tested": dict(tested[0]), "texts": [dict(text) for batch in texts or [] for text in batch]} | look_at(task)


def look_at(task: Any) -> dict[str, Any]:
    verify(task.network)
    tied = task.network.head.weight is task.network.embed.weight
    return {"weights": {name: p.detach().clone() for name, p in task.network.named_parameters()}, "tied": tied}


def main(
    command: str, out: Path, texts: str, cache: str, checkpoint: Path, steps: int, devices: int, batch: int
) -> None:
    seed_everything(1, verbose=False)
    torch.set_num_threads(1)
    data = TextFiles(texts, length=12, batch_size=batch, vocabulary_size=ROWS, cache_dir=cache)
    result = fit(out, data, checkpoint, steps, devices) if command == "fit" else use(out, data, checkpoint)
    torch.save(result, out / f"rank{result['rank']}.pt")


if __name__ == "__main__":
    name, folder, *rest = sys.argv[1:]
    main(name, Path(folder), rest[0], rest[1], Path(rest[2]), *(int(number) for number in rest[3:]))
