"""Extending keeps every old id, and cuts old texts otherwise only where old pieces are joined."""

from __future__ import annotations

import builtins
import json
from itertools import accumulate

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.extending.extend import extend_vocabulary
from lightning_tying.vocab.extending.trim import trim_vocabulary

Texts = dict[str, list[str]]


@pytest.fixture(scope="module")
def grown(base: SharedVocabulary, texts: Texts) -> SharedVocabulary:
    return extend_vocabulary(base, {"uk": texts["uk"]}, 2200)


def pieces(vocabulary: SharedVocabulary) -> dict[str, int]:
    content = json.loads(vocabulary.to_json())
    return content["model"]["vocab"] | {token["content"]: token["id"] for token in content["added_tokens"]}


def bounds(counts: list[int], ids: list[int]) -> set[int]:
    """After which bytes a text is cut."""
    return set(accumulate(counts[id] for id in ids))


def test_every_old_id_is_kept(base: SharedVocabulary, grown: SharedVocabulary) -> None:
    assert pieces(base).items() <= pieces(grown).items()
    merges, more = (json.loads(each.to_json())["model"]["merges"] for each in (base, grown))
    assert more[: len(merges)] == merges
    assert (grown.pad_id, grown.eos_id) == (base.pad_id, base.eos_id)
    assert grown.language_ids == {**base.language_ids, "uk": base.size}
    assert (base.size, grown.size) == (1500, 2200)


@pytest.mark.parametrize("language", ["de", "ru"])
def test_an_old_text_changes_only_by_joining_of_old_pieces(
    language: str, base: SharedVocabulary, grown: SharedVocabulary, texts: Texts
) -> None:
    changed, old, new = 0, base.byte_counts(), grown.byte_counts()
    for before, after in zip(base.encode_many(texts[language]), grown.encode_many(texts[language]), strict=True):
        assert bounds(new, after) <= bounds(old, before)
        if len(after) == len(before):
            assert after == before
        changed += after != before
    assert 0 < changed < len(texts[language]) / 2


def test_the_new_language_is_written_with_fewer_tokens(
    base: SharedVocabulary, grown: SharedVocabulary, texts: Texts
) -> None:
    own = SharedVocabulary.train({"uk": texts["uk"]}, 1000)
    before, after, alone = (sum(map(len, each.encode_many(texts["uk"]))) for each in (base, grown, own))
    assert after < 0.75 * before and after <= 1.05 * alone
    assert all(grown.decode(ids) == text for ids, text in zip(grown.encode_many(texts["uk"]), texts["uk"], strict=True))


def test_the_same_texts_give_the_same_bytes_and_nothing_is_printed(
    base: SharedVocabulary, grown: SharedVocabulary, texts: Texts, capfd: pytest.CaptureFixture[str]
) -> None:
    before = base.to_json()
    assert extend_vocabulary(base, {"uk": texts["uk"]}, 2200).to_json() == grown.to_json()
    assert capfd.readouterr() == ("", "") and base.to_json() == before
    assert SharedVocabulary.from_json(grown.to_json()) == grown


def test_texts_with_few_pieces_give_fewer_rows(base: SharedVocabulary) -> None:
    grown = extend_vocabulary(base, {"ru": ["здравствуйте"], "be": ["ўўў"]}, 2000)
    assert base.size < grown.size < grown.asked == 2000
    assert list(grown.language_ids) == ["de", "ru", "be"]


@pytest.mark.parametrize(
    ("more", "size", "words"),
    [
        ({}, 2000, "There are no texts to learn from"),
        ({"uk": ["а"], "be": [" "]}, 2000, "there is none in: be"),
        ({"uk": ["а", "б\0"]}, 2000, "Text 2 of uk has a NUL character"),
        ({"uk": ["а" * 10_000_000]}, 2000, "Text 1 of uk has 10,000,000 characters, more than 1,000,000"),
        ({"uk": ["а"]}, 1501, "has 1500 rows, all of which stay, and 1 new language tags; ask for 1502 or more"),
        ({"ru": ["а"]}, 1500, "ask for 1501 or more"),
        ({"ru": ["а"]}, 10**11, "size of 100,000,000,000 is too large"),
    ],
)
def test_bad_requests(base: SharedVocabulary, more: Texts, size: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        extend_vocabulary(base, more, size)


def test_lone_surrogates_are_no_text(base: SharedVocabulary) -> None:
    assert extend_vocabulary(base, {"uk": ["\ud800 абв абв"]}, 1600).size > base.size


def test_a_unigram_is_refused(texts: Texts) -> None:
    unigram = SharedVocabulary.train({"de": texts["de"]}, 500, strategy="unigram")
    with pytest.raises(ConfigError, match=r"Only a BPE can be extended .* this vocabulary is a Unigram"):
        extend_vocabulary(unigram, {"uk": ["а"]}, 600)


def test_without_bpe_continue(base: SharedVocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: object, **options: object) -> object:
        if name == "bpe_continue":
            raise ImportError(name)
        return real(name, *arguments, **options)  # pyright: ignore

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"bpe-continue: pip install 'lightning-tying\[vocab\]'"):
        extend_vocabulary(base, {"uk": ["а"]}, 1600)


def test_ids_without_a_piece(base: SharedVocabulary) -> None:
    content = json.loads(base.to_json())
    last = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
    content["model"]["vocab"][last] += 7
    holes = SharedVocabulary.from_json(json.dumps(content))
    with pytest.raises(ConfigError, match="has 7 ids without a piece"):
        extend_vocabulary(holes, {"uk": ["а"]}, 1700)
    trimmed = trim_vocabulary(holes, {"xx": ["".join(base.decode([id]) for id in range(4, base.size))]})
    assert trimmed.vocabulary.size <= base.size and extend_vocabulary(trimmed.vocabulary, {"uk": ["аа"]}, 1700)
