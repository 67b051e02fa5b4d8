"""CSLS@1: against a reference in plain loops, on many ranks' sums, and as a callback over a real dictionary file."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lightning_tying.callbacks.alignment import csls
from lightning_tying.callbacks.alignment.csls import CSLSRetrieval
from lightning_tying.callbacks.embedding_alignment import EmbeddingAlignment
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies


def cosine(x: list[float], y: list[float]) -> float:
    dot = sum(a * b for a, b in zip(x, y, strict=True))
    return dot / math.sqrt(sum(a * a for a in x)) / math.sqrt(sum(b * b for b in y))


def reference(source: list[list[float]], target: list[list[float]], pairs: list[list[int]], k: int) -> float:
    """Conneau et al. 2018, eq. 1, word by word."""

    def density(word: list[float], others: list[list[float]]) -> float:
        nearest = sorted((cosine(word, other) for other in others), reverse=True)[:k]
        return sum(nearest) / len(nearest)

    hits = 0
    queries = sorted({one for one, _ in pairs})
    for query in queries:
        x = source[query]
        scores = [2 * cosine(x, y) - density(x, target) - density(y, source) for y in target]
        hits += [query, scores.index(max(scores))] in pairs
    return hits / len(queries)


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("seed", range(4))
def test_against_plain_loops(seed: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csls, "_CHUNK", 7)
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(30, 5, generator=generator)
    source = base + 0.5 * torch.randn(30, 5, generator=generator)
    target = torch.cat([base, torch.randn(9, 5, generator=generator)]) + 0.5
    pairs = [[word, word] for word in range(20)] + [[3, 35], [4, 36], [29, 1]]

    metric = CSLSRetrieval(k)
    metric.update(source, target, torch.tensor(pairs))

    expected = reference(source.tolist(), target.tolist(), pairs, k)
    assert float(metric.compute()) == pytest.approx(expected)
    assert 0 < expected < 1


def test_a_hub_takes_no_word() -> None:
    """The last target is nearer to every source word than its translation; CSLS gives the words back."""
    source = torch.eye(4) + 0.1
    target = torch.cat([torch.eye(4) - 0.4, source.sum(0, keepdim=True)])
    cosines = nn.functional.normalize(source) @ nn.functional.normalize(target).T
    assert cosines.argmax(1).tolist() == [4, 4, 4, 4]

    metric = CSLSRetrieval(4)
    metric.update(source, target, torch.arange(4)[:, None].expand(4, 2))

    assert float(metric.compute()) == 1.0


def test_equal_tables_are_found_whole_and_updates_add_up() -> None:
    table = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    metric = CSLSRetrieval()
    pairs = torch.arange(40)[:, None].expand(40, 2)
    metric.update(table, table, pairs)
    assert float(metric.compute()) == 1.0
    metric.update(table, -table, pairs)
    assert float(metric.compute()) == 0.5
    metric.update(table, table, pairs[:0])
    assert float(metric.compute()) == 0.5


def test_no_neighbor_is_refused() -> None:
    with pytest.raises(ConfigError, match="k is 0"):
        CSLSRetrieval(0)


WORDS = {"de": ["Haus", "Hund", "rot", "Baum"], "en": ["house", "dog", "red", "tree"]}


@pytest.fixture(scope="module")
def vocabularies() -> SeparateVocabularies:
    texts = {lang: [f"{word} {word}" for word in words] * 4 for lang, words in WORDS.items()}
    return SeparateVocabularies({lang: SharedVocabulary.train({lang: own}, size=320) for lang, own in texts.items()})


class Two(pl.LightningModule):
    """A table for each language; words that are one piece in both have equal vectors."""

    def __init__(self, vocabulary: SeparateVocabularies, wrong: int = 0) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        sizes = {lang: member.size for lang, member in vocabulary.members.items()}
        self.network = nn.Module()
        self.network.embed = nn.ModuleDict({lang: nn.Embedding(size, 16) for lang, size in sizes.items()})
        with torch.no_grad():
            for place, (one, other) in enumerate(zip(*WORDS.values(), strict=True)):
                for form in ("", " "):
                    words = {"de": form + one, "en": form + other}
                    ids = [vocabulary.encode_many([word], lang)[0] for lang, word in words.items()]
                    if all(len(own) == 1 for own in ids) and place >= wrong:
                        self.network.embed["en"].weight[ids[1][0]] = self.network.embed["de"].weight[ids[0][0]]

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        """Nothing to do."""


def validate(module: pl.LightningModule, callback: pl.Callback) -> dict[str, float]:
    trainer: Any = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, callbacks=[callback]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [found] = trainer.validate(module, DataLoader(torch.zeros(2, 1)), verbose=False)
    return found


@pytest.fixture
def dictionary(tmp_path: Path) -> str:
    file = tmp_path / "words.tsv"
    rows = ["de\ten", *("\t".join(pair) for pair in zip(*WORDS.values(), strict=True))]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return str(file)


SITES = {"de": "embed.de.weight", "en": "embed.en.weight"}


def test_the_callback_logs_both_directions(vocabularies: SeparateVocabularies, dictionary: str) -> None:
    torch.manual_seed(0)
    assert validate(Two(vocabularies), EmbeddingAlignment(SITES, dictionary, k=3)) == {
        "tying/csls@1/de-en": 1.0,
        "tying/csls@1/en-de": 1.0,
    }
    assert validate(Two(vocabularies, wrong=2), EmbeddingAlignment(SITES, dictionary, k=3))["tying/csls@1/de-en"] < 1.0


@pytest.mark.parametrize(
    ("sites", "name", "message"),
    [
        ({"de": "embed.de.weight"}, "emoji", "`sites` has 1 of them"),
        ({**SITES, "en": "embed.fr.weight"}, "words.tsv", r"there is no embed\.fr\.weight\. There are: embed\.de"),
        (SITES, "words.txt", "write emoji, babel, or the path of a .tsv"),
        (SITES, "none.tsv", "none.tsv"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    vocabularies: SeparateVocabularies, sites: dict[str, str], name: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(Two(vocabularies), EmbeddingAlignment(sites, name))
