"""Decoding: greedy and with beams, against every possible text of a tiny vocabulary."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from lightning_tying.models import DecoderLM, EncoderDecoder, RecurrentLM
from lightning_tying.tasks.decoding import LanguageStep, TranslationStep, decode_greedily, decode_with_beams

EOS = 1


class Plain(nn.Module):
    """A network without a cache."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: Tensor) -> Tensor:
        return self.network(tokens)


@pytest.mark.parametrize("network", [DecoderLM(12, 16, 2, 2), RecurrentLM(12, 16, 1)])
def test_cached_decoding_gives_what_decoding_without_cache_gives(network: nn.Module) -> None:
    network.eval()
    tokens = torch.randint(2, 12, (3, 4))
    with_cache = decode_greedily(LanguageStep(network), tokens, 6, EOS)
    without = decode_greedily(LanguageStep(Plain(network)), tokens, 6, EOS)
    assert with_cache == without


def test_a_row_ends_at_the_end_of_text() -> None:
    class Constant(nn.Module):
        def forward(self, tokens: Tensor) -> Tensor:
            logits = torch.zeros(*tokens.shape, 5)
            logits[..., 3] = 1.0
            logits[0, tokens.shape[1] > 2 :, EOS] = 2.0 if tokens.shape[1] > 2 else 0.0
            return logits

    found = decode_greedily(LanguageStep(Constant()), torch.tensor([[2], [2]]), 4, EOS)
    assert found == [[3, 3], [3, 3, 3, 3]]


def test_temperature_draws_with_torchs_generator() -> None:
    network = DecoderLM(12, 16, 1, 2).eval()
    tokens = torch.randint(2, 12, (2, 3))
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(decode_greedily(LanguageStep(network), tokens, 8, EOS, temperature=1.5))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_one_beam_follows_the_most_likely_tokens() -> None:
    network = EncoderDecoder(12, 16, 1, 2).eval()
    source, first = torch.randint(2, 12, (3, 5)), torch.full((3, 1), 2)
    greedy = decode_greedily(TranslationStep(network, source, 0), first, 6, EOS)
    beam = decode_with_beams(TranslationStep(network, source, 0), first, 6, EOS, beams=1)
    for row, other in zip(greedy, beam, strict=True):
        assert row[: len(other)] == other


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_wide_beams_find_the_best_text_of_all(penalty: float) -> None:
    torch.manual_seed(3)
    network = EncoderDecoder(5, 8, 1, 2).eval()
    source, first = torch.tensor([[2, 3, 4], [4, 4, 0]]), torch.full((2, 1), 2)
    most = 3
    found = decode_with_beams(
        TranslationStep(network, source, 0, beams=64), first, most, EOS, beams=64, length_penalty=penalty
    )
    for row in range(2):
        assert found[row] == best_text(network, source[row : row + 1], first[:1], most, penalty)


def best_text(network: EncoderDecoder, source: Tensor, first: Tensor, most: int, penalty: float) -> list[int]:
    others = [token for token in range(5) if token != EOS]
    scores: dict[tuple[int, ...], float] = {}
    for length in range(most):
        for ids in itertools.product(others, repeat=length):
            text = [*ids, EOS]
            target = torch.cat([first, torch.tensor([text])], dim=1)
            logs = torch.log_softmax(network(source, target[:, :-1]), dim=-1)
            total = sum(float(logs[0, place, token].detach()) for place, token in enumerate(text))
            scores[ids] = total / len(text) ** penalty
    return list(max(scores, key=lambda ids: scores[ids]))
