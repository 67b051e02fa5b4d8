"""unite_tokenizers: ids are rows, texts come back, and what cannot be one tokenizer is refused with the reason."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.pretokenizer import normalize
from lightning_tying.vocab.rows import make_row_map
from lightning_tying.vocab.uniting import unite_tokenizers
from tests.unit.vocab.families import BYTES, make

TEXTS = {
    "es": ["la casa es vieja", "las casas nuevas", "el perro come", "casas y perros", "una casa nueva"],
    "pt": ["a casa é velha", "as casas novas", "o cachorro come", "casas e cachorros", "uma casa nova"],
    "ru": ["дом старый", "новые дома", "собака ест", "дома и собаки", "новый дом"],
}


@pytest.fixture(scope="module")
def members():
    return {code: SharedVocabulary.train({code: texts * 2}, 330) for code, texts in TEXTS.items()}


@pytest.fixture(scope="module")
def united(members):
    rows = make_row_map(members)
    return SharedVocabulary(unite_tokenizers(members, rows)), rows


def _tokenizer(content):
    return Tokenizer.from_str(json.dumps(content))


def test_ids_are_the_rows_of_every_member(members, united):
    one, rows = united
    vocabulary = Tokenizer.from_str(one.to_json()).get_vocab()
    assert one.size == rows.n_rows == len(vocabulary)
    for name, member in members.items():
        for piece, id in Tokenizer.from_str(member.to_json()).get_vocab().items():
            assert vocabulary[piece] == rows.rows_of(name)[id]


def test_it_is_a_vocabulary_of_this_package(members, united):
    one, rows = united
    assert (one.pad_id, one.eos_id) == (0, 1)
    assert one.language_ids == {name: rows.rows_of(name)[2] for name in members}
    assert SharedVocabulary.from_json(one.to_json()) == one


@given(st.text())
def test_every_text_comes_back(united, text):
    assert united[0].decode(united[0].encode_many([text])[0]) == normalize(text)


def test_no_member_cuts_its_own_words_into_less(members, united):
    one, rows = united
    for name, member in members.items():
        for piece, id in Tokenizer.from_str(member.to_json()).get_vocab().items():
            text = Tokenizer.from_str(member.to_json()).decode([id], skip_special_tokens=False)
            if piece.startswith("Ġ") and member.encode_many([text]) == [[id]]:
                assert one.encode_many([text]) == [[rows.rows_of(name)[id]]], (name, text)


def test_merges_are_taken_in_turn_each_once(members, united):
    merges = [tuple(pair) for pair in json.loads(united[0].to_json())["model"]["merges"]]
    own = {name: [tuple(m) for m in json.loads(one.to_json())["model"]["merges"]] for name, one in members.items()}
    assert len(merges) == len(set(merges)) and set(merges) == {merge for each in own.values() for merge in each}
    best = {merge: min(each.index(merge) for each in own.values() if merge in each) for merge in merges}
    assert [best[merge] for merge in merges] == sorted(best.values())


def test_a_saved_dropout_does_not_come_along(members):
    content = json.loads(members["es"].to_json())
    content["model"]["dropout"] = 0.5
    both = {"es": _tokenizer(content), "pt": members["pt"]}
    assert json.loads(unite_tokenizers(both, make_row_map(both)).to_str())["model"]["dropout"] is None


def _change(content, **changes):
    return {**content, **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizer": None}, "pt has another normalizer than es"),
        ({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}},
         "pt has another pre-tokenizer than es"),
        ({"post_processor": {"type": "BertProcessing", "sep": ["<eos>", 1], "cls": ["<pad>", 0]}},
         "pt adds special tokens to each text"),
    ],
)  # fmt: skip
def test_members_that_cut_text_otherwise_are_refused(members, change, message):
    both = {"es": members["es"], "pt": _tokenizer(_change(json.loads(members["pt"].to_json()), **change))}
    with pytest.raises(ConfigError, match=f"{message}.*row map"):
        unite_tokenizers(both, make_row_map(both))


def test_kinds_that_make_no_one_tokenizer_are_refused(members):
    plain = Tokenizer.from_str(members["pt"].to_json())
    plain.add_tokens(["mais um"])
    for other, message in [
        (make("unigram"), "es is a BPE and pt a Unigram"),
        (make("metaspace_bpe"), "pt is a BPE without a sign for each byte"),
        (plain, "pt has added tokens that are not special"),
    ]:
        both = {"es": members["es"], "pt": other}
        with pytest.raises(ConfigError, match=message):
            unite_tokenizers(both, make_row_map(both))
    pieces = {"es": make("word_piece"), "pt": make("word_piece")}
    with pytest.raises(ConfigError, match="one tokenizer is made of byte-level BPE or of Unigram"):
        unite_tokenizers(pieces, make_row_map(pieces))


def test_only_maps_by_surface_and_only_weights_of_unigram(members):
    with pytest.raises(ConfigError, match="policy is none"):
        unite_tokenizers(members, make_row_map(members, "none"))
    with pytest.raises(ConfigError, match="BPE has no distribution"):
        unite_tokenizers(members, make_row_map(members), dict.fromkeys(members, 1.0))


def _unigram(pieces):
    content = json.loads(make("unigram").to_str())
    special = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0], *([byte, -30.0] for byte in BYTES)]
    content["model"]["vocab"] = [*special, *([text, math.log(p)] for text, p in pieces.items())]
    return _tokenizer(content)


UNIGRAMS = {
    "a": _unigram({"▁casa": 0.5, "▁es": 0.25, "s": 0.25}),
    "b": _unigram({"s": 0.125, "▁casa": 0.375, "▁é": 0.5}),
}


@pytest.mark.parametrize(("weights", "share"), [(None, 0.5), ({"a": 3, "b": 1}, 0.75)])
def test_the_mixture_has_the_weighted_probabilities(weights, share):
    rows = make_row_map(UNIGRAMS)
    united = unite_tokenizers(UNIGRAMS, rows, weights)
    model = json.loads(united.to_str())["model"]
    mass = {text: math.exp(score) for text, score in model["vocab"]}
    assert mass["▁casa"] == pytest.approx(share * 0.5 + (1 - share) * 0.375)
    assert mass["▁es"] == pytest.approx(share * 0.25)
    assert mass["▁é"] == pytest.approx((1 - share) * 0.5)
    assert sum(mass[text] for text in ("▁casa", "▁es", "▁é", "s")) == pytest.approx(1.0)
    assert [text for text, _ in model["vocab"]][model["unk_id"]] == "<unk>"
    for name, member in UNIGRAMS.items():
        for piece, id in member.get_vocab().items():
            assert united.token_to_id(piece) == rows.rows_of(name)[id]


def test_the_mixture_reads_texts_of_both_and_rare_letters_as_bytes():
    united = unite_tokenizers(UNIGRAMS, make_row_map(UNIGRAMS))
    for text in ("casa es", "casa é casas", "東京 casa"):
        ids = united.encode(text, add_special_tokens=False).ids
        assert united.decode(ids) == text
        assert united.token_to_id("<unk>") not in ids


def test_a_letter_of_one_is_no_byte_of_the_other():
    both = {"a": _unigram({"▁b": 0.5, "b": 0.5}), "c": _unigram({"▁c": 0.75, "c": 0.25})}
    for members in (both, dict(reversed(both.items()))):
        rows = make_row_map(members)
        united = unite_tokenizers(members, rows)
        scores = dict(json.loads(united.to_str())["model"]["vocab"])
        assert len(scores) == rows.n_rows == len(united.get_vocab())
        assert (scores["b"], scores["c"]) == pytest.approx((math.log(0.25), math.log(0.125)))
        assert {scores[byte] for byte in BYTES} == {-30.0}


@pytest.mark.parametrize("weights", [{"a": 1.0}, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": math.inf}, {"a": 1.0, "c": 1.0}])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ConfigError, match="not one positive number for each of a, b"):
        unite_tokenizers(UNIGRAMS, make_row_map(UNIGRAMS), weights)


def test_a_model_of_another_kind_is_named():
    words = {name: Tokenizer(models.WordLevel({"a": 0}, unk_token="a")) for name in "ab"}
    with pytest.raises(ConfigError, match="a is a WordLevel"):
        unite_tokenizers(words, make_row_map(words))
