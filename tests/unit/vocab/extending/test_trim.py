"""Trimming leaves out what some texts never use, and cuts these as before."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.extending.extend import extend_vocabulary
from lightning_tying.vocab.extending.merge_trees import find_ancestors
from lightning_tying.vocab.extending.trim import Trimmed, trim_vocabulary

Texts = dict[str, list[str]]


@pytest.fixture(scope="module", params=["BPE", "extended", "Unigram"])
def whole(request: pytest.FixtureRequest, base: SharedVocabulary, texts: Texts) -> SharedVocabulary:
    if request.param == "Unigram":
        return SharedVocabulary.train({"de": texts["de"], "ru": texts["ru"]}, 900, strategy="unigram")
    return base if request.param == "BPE" else extend_vocabulary(base, {"uk": texts["uk"]}, 1800)


@pytest.fixture(scope="module")
def trimmed(whole: SharedVocabulary, texts: Texts) -> Trimmed:
    return trim_vocabulary(whole, {"de": texts["de"][:60]})


def test_the_texts_are_cut_as_before(whole: SharedVocabulary, trimmed: Trimmed, texts: Texts) -> None:
    before, after = (each.encode_many(texts["de"][:60]) for each in (whole, trimmed.vocabulary))
    assert [trimmed.new_ids[ids].tolist() for ids in before] == after
    assert trimmed.vocabulary.size < 0.7 * whole.size


def test_every_other_text_can_still_be_written(whole: SharedVocabulary, trimmed: Trimmed) -> None:
    text = "здравствуй 世界 \x07"
    assert trimmed.vocabulary.decode(trimmed.vocabulary.encode(text)) == whole.decode(whole.encode(text)) == text


def test_the_map_of_ids(whole: SharedVocabulary, trimmed: Trimmed) -> None:
    kept = trimmed.new_ids[trimmed.new_ids >= 0]
    assert len(trimmed.new_ids) == whole.size
    assert np.array_equal(kept, np.arange(trimmed.vocabulary.size))  # onto, without holes, in the old order
    assert trimmed.vocabulary.language_ids == {n: trimmed.new_ids[id] for n, id in whole.language_ids.items()}
    old, new = whole.byte_counts(), trimmed.vocabulary.byte_counts()
    assert all(new[after] == old[before] for before, after in enumerate(trimmed.new_ids) if after >= 0)


def test_trimming_again_changes_nothing(trimmed: Trimmed, texts: Texts) -> None:
    again = trim_vocabulary(trimmed.vocabulary, {"de": texts["de"][:60]})
    assert again.vocabulary == trimmed.vocabulary


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(alphabet="abcn ", min_size=1, max_size=12), min_size=1, max_size=4))
def test_any_texts_of_a_greedy_bpe(lines: list[str]) -> None:
    whole = SharedVocabulary.train({"xx": ["banana cabana bacca nanna abba canna " * 3]}, 285)
    trimmed = trim_vocabulary(whole, {"xx": lines})
    assert [trimmed.new_ids[ids].tolist() for ids in whole.encode_many(lines)] == trimmed.vocabulary.encode_many(lines)


def test_a_piece_that_two_merges_give_keeps_the_one_that_is_used() -> None:
    merges = [("b", "c"), ("a", "b"), ("ab", "c"), ("a", "bc")]
    assert find_ancestors(["abc"], merges) == {"a", "b", "c", "bc", "abc"}
    assert find_ancestors(["aab"], merges) == {"a", "b", "ab", "aab"}


def test_bad_requests(base: SharedVocabulary) -> None:
    with pytest.raises(ConfigError, match="There are no texts"):
        trim_vocabulary(base, {"de": [""]})
    content = json.loads(base.to_json())
    template = {"type": "TemplateProcessing", "special_tokens": {}, "single": [], "pair": []}
    content["post_processor"] = template
    content["post_processor"]["single"] = content["post_processor"]["pair"] = [{"Sequence": {"id": "A", "type_id": 0}}]
    with pytest.raises(ConfigError, match="post-processor"):
        trim_vocabulary(SharedVocabulary.from_json(json.dumps(content)), {"de": ["a"]})
