"""surface_similar: planted false friends part, true friends and the rare ones share."""

from __future__ import annotations

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.rows import make_row_map
from lightning_tying.vocab.rows.similar import judge_words
from lightning_tying.vocab.words import dice, words_of
from tests.unit.vocab.families import make

# `gift` stands in other messages in every language pair; `hotel` in the same ones; `rare` twice only
DE = ["x gift x", "y gift y", "z gift z", "ein hotel hier", "am hotel dort", "im hotel da", "ein rare da", "so rare"]
EN = ["a", "b", "c", "one hotel here", "at hotel there", "in hotel two", "q gift", "w gift", "e gift", "rare", "rare b"]
NL = ["k gift k", "l gift l", "m gift m", "een hotel hier", "op hotel daar", "in hotel", "n", "o"]


def _texts(lines):
    return {str(number): line for number, line in enumerate(lines)}


@pytest.fixture(scope="module")
def parallel():
    return {"de": _texts(DE), "en": _texts(EN), "nl": _texts(NL)}


@pytest.fixture(scope="module")
def members(parallel):
    return {code: SharedVocabulary.train({code: list(texts.values()) * 3}, 300) for code, texts in parallel.items()}


def _row(members, rows, code, word):
    from tokenizers import Tokenizer

    return rows.rows_of(code)[Tokenizer.from_str(members[code].to_json()).token_to_id(word)]


def test_words_are_judged_by_the_messages_that_both_have(members, parallel):
    from tokenizers import Tokenizer

    pieces = {code: canonical_pieces(Tokenizer.from_str(one.to_json())) for code, one in members.items()}
    judged = {(one.word, one.first, one.second): one.dice for one in judge_words(pieces, parallel)}
    assert judged["hotel", "de", "en"] == 1.0
    assert judged["gift", "de", "nl"] == 1.0
    # message 6 and 7 of the six that say `gift` in either language are in both; 8 is in English only
    assert ("gift", "de", "en") not in judged  # twice in English among the common ones
    assert not [key for key in judged if key[0] == "rare"]


def test_false_friends_part_and_others_share(members):
    shifted = {"de": _texts([*DE, "p", "q"]), "en": _texts(EN), "nl": _texts([*NL, "p", "q"])}
    rows = make_row_map(members, "surface_similar", parallel=shifted)
    surface = make_row_map(members)
    gift = [_row(members, rows, code, "Ġgift") for code in ("de", "en", "nl")]
    assert gift[0] == gift[2] != gift[1]
    assert len({_row(members, surface, code, "Ġgift") for code in ("de", "en", "nl")}) == 1
    assert len({_row(members, rows, code, "Ġhotel") for code in ("de", "en", "nl")}) == 1
    assert rows.n_rows > surface.n_rows
    same = make_row_map(members, "surface_similar", parallel=shifted, threshold=0.0)
    assert same.n_rows == surface.n_rows


def test_a_member_without_text_is_named(members, parallel):
    with pytest.raises(ConfigError, match="there is none for nl; it has: de, en"):
        make_row_map(members, "surface_similar", parallel={code: parallel[code] for code in ("de", "en")})


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_thresholds_outside_of_dice_are_refused(threshold):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        make_row_map({"de": make("byte_bpe")}, "surface_similar", parallel={"de": {}}, threshold=threshold)


def test_words_keep_their_marks_and_their_form():
    assert words_of("नमस्ते, e\u0301te\u0301! 42 o'clock \ud800") == ["नमस्ते", "été", "o", "clock"]


def test_dice():
    assert dice({"a", "b"}, {"b", "c"}) == 0.5
    assert dice(set(), set()) == 0.0
