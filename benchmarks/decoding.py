"""How much faster does a model decode whose layers read one block? ALBERT's tie against no tie, one token at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.measure import Timing, ratio_by_round, time_in_turn, write_result
from lightning_tying import tie
from lightning_tying.models import DecoderLM

DIM, DEPTH, HEADS = 384, 12, 6
VOCABULARY = 1000  # small: the head costs both models the same and would only dilute the ratio
TOKENS, ROUNDS = 64, 21
SPEC = {"share": ["layers.{l}.{name*} = block[name]"]}


def _model(*, tied: bool) -> DecoderLM:
    torch.manual_seed(0)
    model = DecoderLM(VOCABULARY, DIM, DEPTH, HEADS, activation="gelu").eval()
    if tied:
        tie(model, SPEC)
    return model


def _decoding(model: DecoderLM) -> Callable[[], None]:
    """A function that decodes TOKENS tokens greedily with a cache, at batch 1."""

    @torch.inference_mode()
    def decode() -> None:
        cache = model.new_cache()
        token = torch.zeros(1, 1, dtype=torch.long)
        for _ in range(TOKENS):
            token = model(token, cache=cache)[:, -1].argmax(-1, keepdim=True)

    return decode


def _row(name: str, model: DecoderLM, timing: Timing) -> str:
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"| {name} | {count:,} | {1000 * timing.median / TOKENS:.2f} ms | {timing} |"


def main() -> None:
    models = {"aliased": _model(tied=True), "untied": _model(tied=False)}
    timings = time_in_turn({name: _decoding(model) for name, model in models.items()}, rounds=ROUNDS)
    ratio = ratio_by_round(timings["untied"], timings["aliased"])
    low, high = ratio.spread
    rows = "\n".join(_row(name, model, timings[name]) for name, model in models.items())
    write_result(
        "decoding",
        "Decoding at batch 1: all layers read one block, against untied",
        "At batch 1 every token reads every weight once. An untied model waits for main memory; one block may stay in "
        "the processor's cache.\n\n"
        f"`DecoderLM`, {DEPTH} layers, d = {DIM}, float32, {TOKENS} tokens with a cache; {ROUNDS} rounds in turn.\n\n"
        f"| side | parameters | a token | {TOKENS} tokens (quartiles) |\n|---|---|---|---|\n{rows}\n\n"
        f"Untied / aliased by round: **{ratio.median:.2f}** (quartiles {low:.2f} … {high:.2f}).",
    )


if __name__ == "__main__":
    main()
