"""What does the input cost? Making a batch of the demo's data against a training step of the demo's decoder."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from benchmarks.measure import time_in_turn, write_result
from lightning_tying.data import Catalogs
from lightning_tying.data.row_source import Batch
from lightning_tying.models import DecoderLM

ROUNDS = 15


class _Batches:
    """Endless batches, epoch after epoch, as in training: the shuffling of a new epoch is part of the time."""

    def __init__(self, data: Catalogs) -> None:
        self._loader = data.train_dataloader()
        self._batches: Iterator[Batch] = iter(self._loader)

    def __call__(self) -> Batch:
        batch = next(self._batches, None)
        if batch is None:
            self._batches = iter(self._loader)
            batch = next(self._batches)
        return batch


class _Step:
    """One AdamW step on a batch that is there already."""

    def __init__(self, tokens: torch.Tensor, vocab_size: int) -> None:
        torch.manual_seed(0)
        self._network = DecoderLM(vocab_size=vocab_size, dim=256, depth=8, heads=4)
        self._optimizer = torch.optim.AdamW(self._network.parameters(), lr=1e-3)
        self._tokens = tokens

    def __call__(self) -> None:
        logits = self._network(self._tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), self._tokens[:, 1:].flatten(), ignore_index=0)
        loss.backward()
        self._optimizer.step()
        self._optimizer.zero_grad()


def main() -> None:
    data = Catalogs()
    data.setup("fit")
    batches = _Batches(data)
    tokens = batches()["tokens"]
    if not isinstance(tokens, torch.Tensor):
        raise TypeError("`tokens` is a tensor in every batch for language modeling")
    # a hundred batches a round, since one is too short to time
    sides = {"batches": lambda: [batches() for _ in range(100)], "step": _Step(tokens, data.vocabulary_size)}
    timings = time_in_turn(sides, rounds=ROUNDS, warmup=2)
    share = timings["batches"].median / 100 / timings["step"].median
    write_result(
        "input-pipeline",
        "The input pipeline: a batch against a training step",
        f"Catalogues of Django in {len(data.languages)} languages, {tuple(tokens.shape)} tokens a batch, no worker "
        "processes; decoder of 8 layers, width 256, vocabulary 8,000, untied, AdamW; "
        f"{ROUNDS} rounds in turn, median (quartiles).\n\n"
        "| | time |\n|---|---|\n"
        f"| 100 batches | {timings['batches']} |\n| a step | {timings['step']} |\n\n"
        f"A batch takes **{100 * share:.3f} %** of a step (goal: at most 2 %).\n",
    )


if __name__ == "__main__":
    main()
