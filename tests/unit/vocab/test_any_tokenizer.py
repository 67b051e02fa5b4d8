"""A broken `tokenizer.json` is one sentence: tokenizers would panic over some of these, which nobody can catch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.tokenizer_file import read_any_tokenizer
from tests.unit.vocab.measures.samples import byte_bpe, word_piece


@pytest.mark.parametrize("make", [byte_bpe, word_piece])
def test_tokenizers_of_others_are_read(make: Callable[[], Tokenizer]) -> None:
    made = make()
    assert read_any_tokenizer(made.to_str(), "t.json").to_str() == made.to_str()


def test_merges_as_texts_and_with_a_prefix_are_read() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "##b": 1, "ab": 2}, [("a", "##b")], continuing_subword_prefix="##"))
    data = json.loads(tokenizer.to_str())
    assert read_any_tokenizer(json.dumps(data), "t.json").encode("ab").ids == [2]
    data["model"]["merges"] = ["a ##b"]
    assert read_any_tokenizer(json.dumps(data), "t.json").encode("ab").ids == [2]


def _without_result(data: Any) -> None:
    del data["model"]["vocab"]["".join(data["model"]["merges"][0])]


def _unknown_outside(data: Any) -> None:
    data["model"] = {"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0]]}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_without_result, "which is not in `vocab`"),
        (_unknown_outside, "`unk_id` is 7, and there are 1 pieces"),
        (lambda data: data.pop("model"), "it has no `model`"),
        (lambda data: data["model"].update(vocab=3), "its model is not a BPE with `vocab` and `merges`"),
        (lambda data: data["model"].update(merges=[["a"]]), "has 1 parts"),
        (lambda data: data["model"].update(type="Own"), "its model is 'Own', none of BPE"),
        (lambda data: data["model"].update(vocab={}, merges=[]), "its model has no pieces"),
    ],
)
def test_broken_files(spoil: Callable[[Any], Any], told: str) -> None:
    data = json.loads(byte_bpe().to_str())
    spoil(data)
    with pytest.raises(ConfigError, match=r"^t\.json ") as caught:
        read_any_tokenizer(json.dumps(data), "t.json")
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_what_is_no_tokenizer(text: str) -> None:
    with pytest.raises(ConfigError, match=r"t\.json is not a (vocabulary|tokenizer that can be read)"):
        read_any_tokenizer(text, "t.json")
