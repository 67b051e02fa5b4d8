"""A run that is killed again and again, started as a process of its own by the tests.

Usage: chaos.py OUT KILLS SEED. It trains once without a break, then forks the same training, kills it with SIGKILL at
random moments and goes on from the newest readable checkpoint, until KILLS kills were made; a training that comes to
its end in between begins anew. Each that ended must be equal to the one without a break. Prints one JSON line.
"""

from __future__ import annotations

import json
import logging
import os
import random
import select
import shutil
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie, verify
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.commands.newest_checkpoint import find_newest
from lightning_tying.data.loader import EvalLoader, TrainLoader
from lightning_tying.data.order import EpochOrder
from lightning_tying.data.row_source import TensorRows
from lightning_tying.plugins import AtomicCheckpoints

STEPS = 43
SPEC = {"share": [{"tie": ["table.weight", "head.weight"]}, "layers.{l}.weight = W + low_rank(2)"]}
WORDS, DIM = 4000, 24  # large enough for a file to take a moment


class Net(LightningModule):
    """An alias, a delta for each layer, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, DIM)
        self.layers = nn.Sequential(*(nn.Linear(DIM, DIM) for _ in range(3)))
        self.head = nn.Linear(DIM, WORDS, bias=False)
        tie(self, SPEC)

    def loss(self, batch: Any) -> Tensor:
        hidden = functional.dropout(self.layers(self.table(batch["input"])), 0.3, self.training)
        return functional.cross_entropy(self.head(hidden), batch["label"])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Diary(Callback):
    """Writes every loss, batch and validation into a file, tells the parent where the training is, and counts."""

    def __init__(self, file: Path, mark: Callable[[str], None]) -> None:
        self.file, self.mark = file, mark
        self.counts = {"steps": 0, "epochs": 0, "validations": 0}

    def write(self, *words: object) -> None:
        with self.file.open("a") as file:
            file.write(" ".join(map(str, words)) + "\n")

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.mark("step")

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.counts["steps"] += 1
        rows = "-".join(str(int(word)) for word in batch["input"])
        self.write("step", trainer.global_step, float(outputs["loss"]).hex(), rows, trainer.current_epoch, batch_idx)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.counts["epochs"] += 1

    def on_validation_batch_start(self, trainer: Trainer, *_rest: Any) -> None:
        self.mark("validation")

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            self.counts["validations"] += 1
            self.write("validation", trainer.global_step, float(trainer.callback_metrics["val/loss"]).hex())

    def state_dict(self) -> dict[str, Any]:
        return dict(self.counts)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.counts = dict(state_dict)


class Marked(AtomicCheckpoints):
    """Tells the parent when a file is being written."""

    def __init__(self, mark: Callable[[str], None]) -> None:
        super().__init__()
        self.mark = mark

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        self.mark("save")
        super().save_checkpoint(checkpoint, path, storage_options)


def train(folder: Path, mark: Callable[[str], None]) -> None:
    """Go on from the newest checkpoint, or begin."""
    seed_everything(1, verbose=False)
    folder.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(0)
    inputs, labels = (torch.randint(0, WORDS, (44,), generator=draw) for _ in range(2))
    rows = TensorRows(inputs, labels)
    callbacks = [
        Diary(folder / "diary.txt", mark), KeepRandomState(), EarlyStopping("val/loss", patience=1000),
        RunCheckpoint(folder, "val/loss", every_n_steps=2),
    ]  # fmt: skip
    trainer = Trainer(
        accelerator="cpu", default_root_dir=folder, logger=False, enable_progress_bar=False, max_steps=STEPS,
        enable_model_summary=False, callbacks=callbacks, plugins=[Marked(mark)], val_check_interval=3,
        check_val_every_n_epoch=None, limit_val_batches=2,
    )  # fmt: skip
    module, newest = Net(), find_newest([folder])
    train_loader, val_loader = TrainLoader(rows, EpochOrder(rows.groups, None, 3), 4), EvalLoader(rows, 8)
    trainer.fit(module, train_loader, val_loader, ckpt_path=newest, weights_only=True)
    verify(module)
    torch.save(module.state_dict(), folder / "final.pt")


def start(folder: Path) -> tuple[int, int]:
    """Fork a training; its process and the pipe on which it tells where it is."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    status = 1
    try:
        os.close(reader)
        train(folder, lambda word: os.write(writer, f"{word}\n".encode()) and None)
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(status)


def read_marks(pipe: int, until: float) -> Iterator[str]:
    """What the training tells, until a point in time; ends when it ends."""
    rest = b""
    while (left := until - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left)[0]:
            return
        read = os.read(pipe, 4096)
        if not read:
            return
        *lines, rest = (rest + read).split(b"\n")
        yield from (line.decode() for line in lines)


def kill_one(folder: Path, draw: random.Random, longest: float) -> str | None:
    """Run the training up to a random moment; what it was at when it was killed, None where it ended by itself."""
    child, pipe = start(folder)
    wanted = draw.choice(["save", "validation", "step", None])  # a moment of this kind, or any by time
    number, last = draw.randint(1, 12), "start"
    until = time.monotonic() + (60.0 if wanted else draw.uniform(0.0, longest))
    for word in read_marks(pipe, until):
        last = word
        number -= word == wanted
        if wanted and number == 0:
            break
    if wanted:
        time.sleep(draw.uniform(0.0, 0.006))  # into what has been begun
    ended = os.waitpid(child, os.WNOHANG)[0]
    if not ended:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        ended = status == 0
    os.close(pipe)
    return None if ended else last


def finish(folder: Path) -> None:
    child, pipe = start(folder)
    for _ in read_marks(pipe, time.monotonic() + 120.0):
        pass
    os.close(pipe)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"the training in {folder} failed")


def compare(whole: Path, other: Path) -> list[str]:
    """What differs between two ended trainings; a step may have been made twice, in the same way."""
    found: list[str] = []
    diaries = [set((each / "diary.txt").read_text().splitlines()) for each in (whole, other)]
    found += [f"diary: {line}" for line in sorted(diaries[0] ^ diaries[1])]
    ours, theirs = (torch.load(each / "final.pt", weights_only=True) for each in (whole, other))
    found += [f"weights: {name}" for name in ours if not torch.equal(ours[name], theirs[name])]
    first, second = (torch.load(each / "last.ckpt", weights_only=True) for each in (whole, other))
    for key in ("callbacks", "loops", "optimizer_states", "lr_schedulers", "random_state", "global_step", "epoch"):
        states = [str_of(each[key]).replace(str(folder), "") for each, folder in ((first, whole), (second, other))]
        found += [] if states[0] == states[1] else [f"{key}: {states[0]} / {states[1]}"]
    return found


def str_of(content: Any) -> str:
    """Everything of a state, tensors in full."""
    if isinstance(content, dict):
        return "{" + ", ".join(f"{key}: {str_of(value)}" for key, value in content.items()) + "}"
    if isinstance(content, list | tuple):
        return "[" + ", ".join(str_of(value) for value in content) + "]"
    return str(content.tolist()) if isinstance(content, Tensor) else repr(content)


def main(out: Path, kills: int, seed: int) -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    draw, whole = random.Random(seed), out / "whole"
    began = time.monotonic()
    finish(whole)
    longest = time.monotonic() - began
    made: Counter[str] = Counter()
    different: list[str] = []
    runs = 0
    while made.total() < kills:
        folder, runs = out / f"killed{runs}", runs + 1
        ended = False
        while made.total() < kills and not ended:
            last = kill_one(folder, draw, longest)
            ended = last is None
            if last is not None:
                made[last] += 1
        if not ended:
            finish(folder)
        different += [f"{folder.name}: {text}"[:400] for text in compare(whole, folder)]
        left = [path.name for path in folder.iterdir() if path.name.endswith(".partial")]
        different += [f"left behind: {name}" for name in left if not ended]
        shutil.rmtree(folder)
    print(json.dumps({"kills": made.total(), "during": dict(made), "runs": runs, "different": different}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
