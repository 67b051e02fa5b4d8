"""Does sharing first make training shorter? Steps and time to the untied model's final validation loss, by seed.

Yang et al. 2021 (arXiv:2110.03848) claim significantly fewer iterations for BERT. Run it alone on the machine:
`python -m benchmarks.share_then_unshare`; `--small` shows that it runs.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from benchmarks.measure import write_result
from benchmarks.sharing_decoder import DecoderSize, make_decoder, make_trainer
from lightning_tying.callbacks.adaptive.share_then_unshare import ShareThenUnshare
from lightning_tying.callbacks.adaptive_sharing import AdaptiveSharing
from lightning_tying.data import Catalogs
from lightning_tying.tasks import LanguageModeling, WarmupCosine

HEAD = {"tie": ["embed.weight", "head.weight"]}
BLOCK = "layers.{l}.{name*} = block[name]"
UNTIED, SHARED = "untied", "shared to the end"
# ruff: noqa: ARG002  # Lightning's hooks have the arguments that they have


DECODER = DecoderSize(dim=128, depth=6, vocabulary=8000, rows=8, length=128)


@dataclass(frozen=True)
class Size:
    """How much is trained; the small one shows that it runs."""

    decoder: DecoderSize = DECODER
    steps: int = 400
    every: int = 20
    batches: int = 12
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    languages: tuple[str, ...] | str = "core"
    at: tuple[float, ...] = (0.1, 0.25, 0.5)


SMALL = Size(
    DecoderSize(32, 2, 1000, rows=4, length=32), steps=12, every=3, batches=2, seeds=(0,), languages=("en",), at=(0.25,)
)


@dataclass(frozen=True)
class Run:
    """The validation losses of one run, each with the steps and the seconds of training alone before it."""

    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    losses: tuple[float, ...]

    def reach(self, loss: float) -> tuple[int, float] | None:
        """Steps and seconds until a validation loss is reached first; None for never."""
        found = (each for each in zip(self.steps, self.seconds, self.losses, strict=True) if each[2] <= loss)
        first = next(found, None)
        return None if first is None else first[:2]


class Curve(Callback):
    """Notes the validation loss, and the time that was spent in training."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float, float]] = []
        self._spent = self._since = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._spent += time.perf_counter() - self._since

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.points.append(
            (trainer.global_step, self._spent, float(trainer.callback_metrics[LanguageModeling.monitor]))
        )
        self._since = time.perf_counter()


def train(size: Size, side: str, at: float | None, seed: int) -> Run:
    """One run: untied, shared, or shared until a part of the steps; the head is tied to the embedding in all."""
    seed_everything(seed, verbose=False)
    sharing: dict[str, Any] = {"version": 1, "share": [HEAD] if side == UNTIED else [HEAD, BLOCK]}
    module = LanguageModeling(
        partial(make_decoder, size.decoder),
        sharing,
        optimizer=partial(torch.optim.AdamW, lr=3e-3, betas=(0.9, 0.95), eps=1e-5, weight_decay=0.1),
        lr_scheduler=partial(WarmupCosine, warmup=0.1, final=0.01),
    )
    data = Catalogs(
        languages=size.languages if isinstance(size.languages, str) else list(size.languages),
        length=size.decoder.length,
        batch_size=size.decoder.rows,
        vocabulary_size=size.decoder.vocabulary,
        seed=seed,
    )
    callbacks: list[Callback] = [curve := Curve()]
    if at is not None:
        callbacks.append(AdaptiveSharing(ShareThenUnshare(at, "block*"), report=False))
    with tempfile.TemporaryDirectory() as folder:
        options = {"val_check_interval": size.every, "check_val_every_n_epoch": None, "num_sanity_val_steps": 0}
        limits = {"limit_val_batches": size.batches, "gradient_clip_val": 1.0}
        make_trainer(folder, size.steps, callbacks, **options, **limits).fit(module, data)
    steps, seconds, losses = zip(*curve.points, strict=True)
    return Run(steps, seconds, losses)


def main(size: Size | None = None) -> None:
    size = size or Size()
    sides: list[tuple[str, float | None]] = [(UNTIED, None), (SHARED, None)]
    sides += [(f"shared, untied after {at:.0%} of the steps", at) for at in size.at]
    runs = {side: [train(size, side, at, seed) for seed in size.seeds] for side, at in sides}
    goals = [run.losses[-1] for run in runs[UNTIED]]
    write_result(
        "share-then-unshare",
        "Sharing first, then not",
        f"{size.decoder}, Django's catalogues, {size.steps} steps, AdamW 3e-3, warmup and cosine, clipped at 1; the "
        f"head tied to the embedding on all sides. {len(size.seeds)} seeds: mean (lowest … highest). Validated every "
        f"{size.every} steps on {size.batches} batches; the loss is in bits per byte; seconds are those "
        "of training alone. The goal of each seed is its own untied model's final validation loss.\n\n"
        "| side | final validation loss | steps to the goal | seconds to it | seeds that reach it |\n"
        "|---|---|---|---|---|\n" + "\n".join(_tell_side(side, found, goals) for side, found in runs.items()) + "\n\n"
        f"{_conclude(runs, goals)} Yang et al. 2021 (arXiv:2110.03848) report fewer iterations for BERT at this.",
    )


def _tell_side(side: str, runs: Sequence[Run], goals: Sequence[float]) -> str:
    reached = [found for run, goal in zip(runs, goals, strict=True) if (found := run.reach(goal)) is not None]
    steps = _tell([float(each[0]) for each in reached], 0)
    seconds = _tell([each[1] for each in reached], 1)
    losses = _tell([run.losses[-1] for run in runs], 4)
    return f"| {side} | {losses} | {steps} | {seconds} | {len(reached)} of {len(runs)} |"


def _conclude(runs: dict[str, list[Run]], goals: Sequence[float]) -> str:
    """Whether a side reaches the goal in every seed with fewer steps than the untied model, in words."""
    plain = [run.reach(goal) for run, goal in zip(runs[UNTIED], goals, strict=True)]
    better: list[str] = []
    for side in list(runs)[2:]:
        found = [run.reach(goal) for run, goal in zip(runs[side], goals, strict=True)]
        if all(one is not None and two is not None and one[0] < two[0] for one, two in zip(found, plain, strict=True)):
            better.append(side)
    if not better:
        return "No way of sharing first reaches the goal in fewer steps than untied training in every seed."
    return f"In fewer steps than untied training, in every seed: {'; '.join(better)}."


def _tell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "never"
    return f"{statistics.fmean(values):.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"


if __name__ == "__main__":
    main(SMALL if "--small" in sys.argv else None)
