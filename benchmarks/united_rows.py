"""Do united rows cost anything? Language models of related languages: bits per byte and embedding parameters, by seed.

Each pair of languages has two vocabularies. Their ids are rows of one table: each id its own ("none", but the special
tokens), equal pieces the same ("surface"), or equal pieces that parallel text uses alike ("surface_similar"). All else
is equal: networks, seeds, windows of text, steps. Run it with `python -m benchmarks.united_rows` (`--small` for a
moment's run that shows that it works).
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from lightning.pytorch import Trainer, seed_everything

from benchmarks.measure import write_result
from lightning_tying.data import Catalogs
from lightning_tying.data.recipe import Policy, Recipe
from lightning_tying.models import DecoderLM
from lightning_tying.tasks import LanguageModeling, WarmupCosine

POLICIES: tuple[Policy, ...] = ("none", "surface", "surface_similar")
TIED_HEAD = {"share": [{"tie": ["embed.weight", "head.weight"]}]}


@dataclass(frozen=True)
class Size:
    """How much is trained; the small one shows that it runs."""

    pairs: tuple[tuple[str, str], ...] = (("es", "pt"), ("ru", "uk"), ("cs", "sk"))
    seeds: tuple[int, ...] = (0, 1, 2)
    member: int = 2000
    dim: int = 128
    depth: int = 4
    length: int = 64
    batch: int = 16
    steps: int = 400


SMALL = Size(pairs=(("es", "pt"),), seeds=(0,), member=400, dim=16, depth=1, length=32, batch=4, steps=4)


@dataclass(frozen=True)
class Outcome:
    """One policy on one pair: rows and parameters of the table, bits per byte of the test for each seed."""

    rows: int
    embedding: int
    bits: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self.bits)


def make_data(size: Size, pair: Sequence[str], policy: Policy, seed: int) -> Catalogs:
    """The texts of a pair under its two vocabularies, their ids as rows of one table."""
    data = Catalogs(
        languages=list(pair),
        length=size.length,
        batch_size=size.batch,
        vocabulary_size=2 * size.member,
        recipe=Recipe(strategy="per_language", member_size=size.member, policy=policy),
        seed=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the network has exactly the rows that there are
        data.setup("fit")
    return data


def train(size: Size, data: Catalogs, seed: int) -> tuple[int, float]:
    """Train and test one model; returns the parameters of its table and the test's bits per byte."""
    if data.vocabulary is None:
        raise RuntimeError("the data were set up before")
    seed_everything(seed, verbose=False)
    network = DecoderLM(vocab_size=data.vocabulary.size, dim=size.dim, depth=size.depth, heads=4)
    task = LanguageModeling(
        network,
        sharing=TIED_HEAD,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1),
        lr_scheduler=lambda optimizer: WarmupCosine(optimizer, warmup=0.1, final=0.01),
    )
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            max_steps=size.steps,
            limit_val_batches=0,
            gradient_clip_val=1.0,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=folder,
        )
        trainer.fit(task, data)
        values = trainer.test(task, data, verbose=False)[0]
    return network.embed.weight.numel(), float(values["test/bits_per_byte"])


def measure(size: Size, pair: Sequence[str], policy: Policy) -> Outcome:
    """All seeds of one policy on one pair."""
    rows, embedding = 0, 0
    bits: list[float] = []
    for seed in size.seeds:
        data = make_data(size, pair, policy, seed)
        rows = data.vocabulary.size if data.vocabulary is not None else 0
        embedding, value = train(size, data, seed)
        bits.append(value)
    return Outcome(rows, embedding, tuple(bits))


def make_table(outcomes: Mapping[tuple[str, ...], Mapping[str, Outcome]]) -> str:
    """The outcomes as a Markdown table, each policy against "none" of its pair."""
    lines = [
        "| pair | policy | rows | embedding parameters | bits per byte, mean | by seed | against separate rows |",
        "|---|---|---|---|---|---|---|",
    ]
    for pair, by_policy in outcomes.items():
        separate = by_policy["none"]
        for policy, found in by_policy.items():
            change = "" if policy == "none" else f"{100 * (found.mean / separate.mean - 1):+.2f} %"
            saved = "" if policy == "none" else f" ({100 * (1 - found.embedding / separate.embedding):.1f} % saved)"
            seeds = ", ".join(f"{value:.4f}" for value in found.bits)
            lines.append(
                f"| {'–'.join(pair)} | {policy} | {found.rows:,} | {found.embedding:,}{saved} | {found.mean:.4f} "
                f"| {seeds} | {change} |"
            )
    return "\n".join(lines)


def main(size: Size | None = None) -> None:
    """Train everything and write the result page."""
    size = size or Size()
    outcomes = {pair: {policy: measure(size, pair, policy) for policy in POLICIES} for pair in size.pairs}
    write_result(
        "united-rows",
        "United rows against separate rows: language models of related languages",
        f"Catalogues of Django; vocabularies of {size.member:,} rows for each language; decoder of {size.depth} "
        f"layers, width {size.dim}, head = embedding; AdamW, {size.steps} steps of {size.batch} windows of "
        f"{size.length} tokens; {len(size.seeds)} seeds. The goal: bits per byte at most 1 % above those "
        f"of separate rows, with at least 20 % fewer embedding parameters.\n\n{make_table(outcomes)}\n",
    )


if __name__ == "__main__":
    main(SMALL if "--small" in sys.argv else None)
