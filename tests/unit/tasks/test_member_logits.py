"""Logits of a united vocabulary: a language's probabilities sum to 1 over what it can say, and bits are right."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lightning_tying.errors import ConfigError
from lightning_tying.models import RecurrentLM
from lightning_tying.tasks import LanguageModeling
from lightning_tying.tasks.member_logits import MemberLogits
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.rows import RowMap
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary

TEXTS = {"de": ["das rote Haus", "das Haus ist rot"], "en": ["the red house", "the house is red"]}
TWINS = (200, 201, 202)  # three bytes of de that are put on one row


@pytest.fixture(scope="module")
def vocabulary() -> UnitedVocabulary:
    """Two members that share the bytes; three ids of de read one row, as words that a dictionary joins do."""
    members = {lang: SharedVocabulary.train({lang: texts}, size=270) for lang, texts in TEXTS.items()}
    n = members["de"].size
    rows = {"de": list(range(n)), "en": [0, 1, n, *range(3, 259), *range(n + 1, n + 1 + members["en"].size - 259)]}
    for twin in TWINS[1:]:
        rows["de"][twin] = TWINS[0]
        rows["en"][twin] = TWINS[0]
    used = sorted({row for own in rows.values() for row in own})
    place = {row: index for index, row in enumerate(used)}
    arrays = {lang: np.array([place[row] for row in own], np.int32) for lang, own in rows.items()}
    digests = {lang: member.digest for lang, member in members.items()}
    specials = {lang: {"<pad>": 0, "<eos>": 1, f"<{lang}>": 2} for lang in members}
    return UnitedVocabulary(members, RowMap(arrays, len(used), digests, "dictionary", specials))


def said(vocabulary: UnitedVocabulary, language: str) -> set[int]:
    return set(vocabulary.rows.rows_of(language).tolist())


def test_probabilities_sum_to_one_over_rows_and_over_ids(vocabulary: UnitedVocabulary) -> None:
    restrict = MemberLogits(vocabulary, ["en", "de"])
    logits = torch.randn(4, 3, vocabulary.size, dtype=torch.float64)
    language = torch.tensor([1, 0, 0, 1])

    by_row = restrict(logits, language).softmax(-1)
    by_id = restrict.log_probabilities(logits, language)

    torch.testing.assert_close(by_row.sum(-1), torch.ones(4, 3, dtype=torch.float64))
    for row, name in enumerate(["de", "en", "en", "de"]):
        ids = torch.from_numpy(vocabulary.rows.rows_of(name).astype(np.int64))
        torch.testing.assert_close(by_id[row][:, ids].exp().sum(-1), torch.ones(3), rtol=0, atol=1e-5)
        assert set(by_row[row, 0].nonzero().flatten().tolist()) == said(vocabulary, name)


def test_without_the_multiplicity_they_would_sum_to_more(vocabulary: UnitedVocabulary) -> None:
    """The trap: the row's probability for each of its ids."""
    restrict = MemberLogits(vocabulary, ["de"])
    by_row = restrict(torch.zeros(1, 1, vocabulary.size), torch.tensor([0])).softmax(-1)[0, 0]
    ids = torch.from_numpy(vocabulary.rows.rows_of("de").astype(np.int64))
    count = len(said(vocabulary, "de"))
    assert float(by_row[ids].sum()) == pytest.approx((count + len(TWINS) - 1) / count)


def test_logits_equal_a_head_of_the_member_s_own(vocabulary: UnitedVocabulary) -> None:
    """Where each id has a row of its own, it is the softmax of a model that only has this member's vocabulary."""
    restrict = MemberLogits(vocabulary, ["en"])
    logits = torch.randn(2, vocabulary.size)
    own = sorted(said(vocabulary, "en"))
    found = restrict(logits, torch.tensor([0, 0])).log_softmax(-1)
    torch.testing.assert_close(found[:, own], logits[:, own].log_softmax(-1))


def test_a_network_may_have_more_rows(vocabulary: UnitedVocabulary) -> None:
    restrict = MemberLogits(vocabulary, ["de"])
    wider = torch.randn(1, 2, vocabulary.size + 7)
    assert restrict(wider, torch.tensor([0]))[..., vocabulary.size :].isneginf().all()
    assert restrict.log_probabilities(wider, torch.tensor([0])).shape == wider.shape


def test_an_unknown_language_is_refused(vocabulary: UnitedVocabulary) -> None:
    with pytest.raises(ConfigError, match="fr"):
        MemberLogits(vocabulary, ["de", "fr"])


class Uniform(nn.Module):
    """All rows alike."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.zeros(size))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.level.expand(*tokens.shape, -1)


def module_for(vocabulary: UnitedVocabulary, network: nn.Module, **options: Any) -> LanguageModeling:
    module = LanguageModeling(network, **options)
    module.vocabulary, module.languages = vocabulary, ("de", "en")
    module.make_metrics()
    return module


def batch_of(vocabulary: UnitedVocabulary, language: str, rows: list[int]) -> dict[str, torch.Tensor]:
    index = ("de", "en").index(language)
    return {
        "tokens": torch.tensor([[vocabulary.tag_id(language), *rows, vocabulary.pad_id]]),
        "language": torch.tensor([index]),
        "bytes": torch.tensor([len(rows)]),
    }


def test_bits_per_byte_of_a_uniform_model(vocabulary: UnitedVocabulary) -> None:
    """A row costs log₂ of how many rows de has; one that three ids read, log₂ 3 more."""
    twin = int(vocabulary.rows.rows_of("de")[TWINS[0]])
    plain = int(vocabulary.rows.rows_of("de")[50])
    module = module_for(vocabulary, Uniform(vocabulary.size))

    module._measure("val", batch_of(vocabulary, "de", [plain, twin]))

    bits = float(module.likelihoods["val_text"].compute()["bits_per_byte/de"])
    rows = len(said(vocabulary, "de"))
    assert bits == pytest.approx((2 * math.log2(rows) + math.log2(len(TWINS))) / 2, rel=1e-5)


def test_unrestricted_bits_count_every_row(vocabulary: UnitedVocabulary) -> None:
    module = module_for(vocabulary, Uniform(vocabulary.size), member_logits=False)
    module._measure("val", batch_of(vocabulary, "en", [40, 41]))
    bits = float(module.likelihoods["val_text"].compute()["bits_per_byte/en"])
    assert bits == pytest.approx(math.log2(vocabulary.size), rel=1e-5)


def test_training_learns_of_the_language_s_rows_alone(vocabulary: UnitedVocabulary) -> None:
    module = module_for(vocabulary, Uniform(vocabulary.size))
    module.log = lambda *arguments, **options: None  # type: ignore[method-assign]
    module.training_step(batch_of(vocabulary, "en", [40, 41]), 0).backward()
    grad = module.network.level.grad
    assert grad.isfinite().all()
    assert set(grad.nonzero().flatten().tolist()) == said(vocabulary, "en")


def test_what_is_written_is_of_the_language(vocabulary: UnitedVocabulary) -> None:
    torch.manual_seed(0)
    module = module_for(vocabulary, RecurrentLM(vocabulary.size, dim=8, depth=1))
    for language in ("de", "en"):
        for _ in range(3):
            assert isinstance(module.generate("the", language, new_tokens=20, temperature=3.0), str)
        own = module._step(torch.tensor([("de", "en").index(language)]))
        logits = own(torch.tensor([[vocabulary.tag_id(language)]]))
        assert set(logits[0].isfinite().nonzero().flatten().tolist()) == said(vocabulary, language)


def test_a_checkpoint_brings_the_restriction(vocabulary: UnitedVocabulary) -> None:
    module = module_for(vocabulary, Uniform(vocabulary.size))
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    assert not any("restrict" in key for key in module.state_dict())
    fresh = LanguageModeling(Uniform(vocabulary.size))
    fresh.on_load_checkpoint(checkpoint)
    assert fresh.restrict is not None
    assert torch.equal(fresh.restrict.allowed, module.restrict.allowed)
