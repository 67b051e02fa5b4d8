"""Text out of networks: prompts or sources go in, the ids of the most likely continuations come out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn


class _Cache(Protocol):
    def reorder(self, rows: Tensor) -> None: ...


class _Step(Protocol):
    """One step: ids that were not seen yet [B, T] in, logits of the next token [B, V] out."""

    def __call__(self, tokens: Tensor) -> Tensor: ...

    def reorder(self, rows: Tensor) -> None: ...


class LanguageStep:
    """Steps of a decoder-only network; with a cache where the network has one.

    Args:
        network: `forward(tokens[B, T], cache=…) -> logits[B, T, V]`.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.cache = _new_cache(network)
        self.seen: Tensor | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        if self.cache is not None:
            return self.network(tokens, cache=self.cache)[:, -1]
        self.seen = tokens if self.seen is None else torch.cat([self.seen, tokens], dim=1)
        return self.network(self.seen)[:, -1]

    def reorder(self, rows: Tensor) -> None:
        if self.cache is not None:
            self.cache.reorder(rows)
        if self.seen is not None:
            self.seen = self.seen[rows]


class TranslationStep:
    """Steps of an encoder–decoder network over a batch of sources.

    Args:
        network: has `encode(source)` and `decode(target, memory, source_mask, cache)`.
        source: ids, int64 [B, S].
        pad_id: the id of the source's padding.
        beams: how many hypotheses there are for each source.
    """

    def __init__(self, network: nn.Module, source: Tensor, pad_id: int, beams: int = 1) -> None:
        self.network = cast(Any, network)
        self.memory = self.network.encode(source).repeat_interleave(beams, dim=0)
        self.mask = (source != pad_id).repeat_interleave(beams, dim=0)
        self.cache = _new_cache(network)
        self.seen: Tensor | None = None

    def __call__(self, tokens: Tensor) -> Tensor:
        if self.cache is not None:
            return self.network.decode(tokens, self.memory, self.mask, self.cache)[:, -1]
        self.seen = tokens if self.seen is None else torch.cat([self.seen, tokens], dim=1)
        return self.network.decode(self.seen, self.memory, self.mask)[:, -1]

    def reorder(self, rows: Tensor) -> None:
        """Keep these hypotheses; they belong to the same sources, so the memory stays."""
        if self.cache is not None:
            self.cache.reorder(rows)
        if self.seen is not None:
            self.seen = self.seen[rows]


@torch.no_grad()
def decode_greedily(
    step: _Step, tokens: Tensor, most: int, eos_id: int, *, temperature: float = 0.0
) -> list[list[int]]:
    """Continue each row by its most likely token, or by a drawn one, until the end of text.

    Args:
        step: a step of the network.
        tokens: the beginnings, int64 [B, T].
        most: the largest number of new tokens.
        eos_id: ends a row; it is left out of the result.
        temperature: 0 takes the most likely token; above, tokens are drawn with torch's generator.

    Returns:
        The new ids of each row.
    """
    found: list[list[int]] = [[] for _ in range(tokens.shape[0])]
    ended = torch.zeros(tokens.shape[0], dtype=torch.bool, device=tokens.device)
    for _ in range(most):
        logits = step(tokens)
        chosen = logits.argmax(dim=-1) if temperature <= 0 else _draw(logits, temperature)
        ended = ended | (chosen == eos_id)
        for row, token in enumerate(cast("list[int]", chosen.tolist())):
            if not ended[row]:
                found[row].append(token)
        if bool(ended.all()):
            break
        tokens = chosen[:, None]
    return found


@torch.no_grad()
def decode_with_beams(
    step: _Step, tokens: Tensor, most: int, eos_id: int, *, beams: int, length_penalty: float = 1.0
) -> list[list[int]]:
    """Continue each row by the best of several hypotheses (log-probability / length ** penalty; Wu et al. 2016).

    Args:
        step: a step whose batch is `beams` hypotheses for each row, those of one row side by side.
        tokens: the beginnings, int64 [B, T].
        most: the largest number of new tokens.
        eos_id: ends a hypothesis; it is left out of the result.
        beams: hypotheses for each row.
        length_penalty: 0 prefers short texts, 1 divides by the length.

    Returns:
        The new ids of each row's best hypothesis.
    """
    rows, device = tokens.shape[0], tokens.device
    scores = torch.full((rows, beams), -torch.inf, device=device)
    scores[:, 0] = 0.0  # all hypotheses begin alike, so only one may branch first
    found = torch.empty(rows * beams, 0, dtype=torch.long, device=device)
    best: list[tuple[float, list[int]]] = [(-torch.inf, []) for _ in range(rows)]
    tokens = tokens.repeat_interleave(beams, dim=0)
    for length in range(1, most + 1):
        steps = torch.log_softmax(step(tokens).float(), dim=-1).view(rows, beams, -1)
        total = scores[:, :, None] + steps
        _end(best, total[:, :, eos_id], found.view(rows, beams, length - 1), length**length_penalty)
        total[:, :, eos_id] = -torch.inf
        scores, place = total.flatten(1).topk(beams, dim=1)
        kept = (place // steps.shape[-1] + torch.arange(rows, device=device)[:, None] * beams).flatten()
        tokens = (place % steps.shape[-1]).view(-1, 1)
        found = torch.cat([found[kept], tokens], dim=1)
        step.reorder(kept)
        if all(float(scores[row, 0]) / most**length_penalty <= best[row][0] for row in range(rows)):
            break  # no open hypothesis can come before what has ended
    for row in range(rows):
        if best[row][0] == -torch.inf:
            best[row] = (0.0, found[row * beams].tolist())
    return [ids for _, ids in best]


def _end(best: list[tuple[float, list[int]]], totals: Tensor, found: Tensor, divisor: float) -> None:
    for row, (values, ids) in enumerate(zip(totals, found, strict=True)):
        place = int(values.argmax())
        value = float(values[place]) / divisor
        if value > best[row][0]:
            best[row] = (value, ids[place].tolist())


def _draw(logits: Tensor, temperature: float) -> Tensor:
    return torch.multinomial(torch.softmax(logits.float() / temperature, dim=-1), 1)[:, 0]


def _new_cache(network: nn.Module) -> _Cache | None:
    make = getattr(network, "new_cache", None)
    return make() if callable(make) else None  # pyright: ignore[reportReturnType]  # a network's own word
