"""Which use of a tied embedding trains it? Shares of the input and the output use in a language model, by seed."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything

from benchmarks.measure import write_result
from benchmarks.sharing_decoder import DecoderSize, make_decoder, make_trainer
from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.data import Catalogs
from lightning_tying.reports.stability.history import read_history
from lightning_tying.reports.stability.record import Record
from lightning_tying.tasks import LanguageModeling

OUTPUT = "head.weight"


DECODER = DecoderSize(dim=128, depth=4, vocabulary=8000, rows=8, length=128)


@dataclass(frozen=True)
class Size:
    """How much is trained; the small one shows that it runs."""

    decoder: DecoderSize = DECODER
    steps: int = 300
    every: int = 10
    seeds: tuple[int, ...] = (0, 1, 2)
    languages: tuple[str, ...] | str = "core"
    scales: tuple[float, ...] = (0.25, 1.0, 4.0, 16.0)


SMALL = Size(DecoderSize(32, 2, 1000, rows=4, length=32), steps=12, every=4, seeds=(0,), languages=("en", "de"))


@dataclass(frozen=True)
class Outcome:
    """What one run showed: the output use's mean share, early and late; coherence; bits per byte of the test."""

    early: float
    late: float
    kappa: float
    bits: float


def train(size: Size, scale: float, seed: int) -> Outcome:
    """Train one model, the gradient of the embedding's input use multiplied by `scale`."""
    seed_everything(seed, verbose=False)
    sharing: dict[str, Any] = {
        "version": 1,
        "share": ["head.weight = E", {"sites": "embed.weight", "equals": "E", "grad": {"scale": scale}}],
    }
    optimizer: Any = partial(torch.optim.AdamW, lr=2e-3)
    module = LanguageModeling(partial(make_decoder, size.decoder), sharing, optimizer=optimizer)
    languages = size.languages if isinstance(size.languages, str) else list(size.languages)
    data = Catalogs(
        languages=languages,
        length=size.decoder.length,
        batch_size=size.decoder.rows,
        vocabulary_size=size.decoder.vocabulary,
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        callback = GradientStability(size.every, "E", pairs="exact", report=False)
        trainer = make_trainer(folder, size.steps, [callback], limit_val_batches=0, gradient_clip_val=1.0)
        trainer.fit(module, data)
        (tested,) = trainer.test(module, data, verbose=False)
        records = read_history(Path(folder) / "stability.jsonl").records
    third = max(1, len(records) // 3)
    kappa = statistics.fmean(record.kappa for record in records)
    return Outcome(_share(records[:third]), _share(records[-third:]), kappa, tested["test/bits_per_byte"])


def _share(records: Sequence[Record]) -> float:
    """Mean share of the output use."""
    places = [next(number for number, use in enumerate(each.uses) if use.endswith(OUTPUT)) for each in records]
    return statistics.fmean(each.shares[place] for each, place in zip(records, places, strict=True))


def _tell(values: Sequence[float], digits: int) -> str:
    return f"{statistics.fmean(values):.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"


def main(size: Size | None = None) -> None:
    size = size or Size()
    lines: list[str] = []
    for scale in size.scales:
        found = [train(size, scale, seed) for seed in size.seeds]
        columns = [
            _tell([100 * each.early for each in found], 1),
            _tell([100 * each.late for each in found], 1),
            _tell([each.kappa for each in found], 3),
            _tell([each.bits for each in found], 3),
        ]
        lines.append(f"| {scale:g} | {' | '.join(columns)} |")
    write_result(
        "input-output-use",
        "Which use trains a tied embedding?",
        f"{size.decoder} of Django's catalogues, {size.steps} steps, AdamW 2e-3, clipped at 1. "
        f"{len(size.seeds)} seeds: mean (lowest … highest). A share is a use's norm over the sum of the norms, "
        f"measured every {size.every} steps; `scale` multiplies the input use's gradient (`grad: {{scale: …}}`).\n\n"
        "| scale | output's share, first third (%) | last third (%) | coherence κ | test bits per byte |\n"
        "|---|---|---|---|---|\n" + "\n".join(lines) + "\n\n"
        "At scale 1 the output use has most of the gradient where its share is above 50 %; a larger scale of the input "
        "use lowers that share.",
    )


if __name__ == "__main__":
    main(SMALL if "--small" in sys.argv else None)
