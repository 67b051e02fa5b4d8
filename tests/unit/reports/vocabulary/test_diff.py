"""What differs between two vocabularies: pieces, ids, tokens and cuts, against what is known of the two."""

from __future__ import annotations

import json

import pytest

from lightning_tying.reports.vocabulary.diff import Side, VocabularyDiff, compare, show
from lightning_tying.reports.vocabulary.render_diff import to_html, to_json, to_markdown, to_text
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.measures.spelling import spell_tokenizer, spell_vocabulary
from lightning_tying.vocab.measures.subject import make_subject
from lightning_tying.vocab.measures.tokenizer_subject import make_tokenizer_subject
from lightning_tying.vocab.rows import make_row_map
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from tests.unit.vocab.measures.samples import TEXTS, byte_bpe, word_piece


def side(tokenizer, name: str) -> Side:
    return Side(make_tokenizer_subject(tokenizer, name), spell_tokenizer(tokenizer))


@pytest.fixture(scope="module")
def diff() -> VocabularyDiff:
    """From 300 to 400 rows of one training: the larger one has all of the smaller one's pieces, at their ids."""
    return compare(side(byte_bpe(300), "small"), side(byte_bpe(400), "large"), TEXTS)


def test_a_longer_training_only_adds(diff: VocabularyDiff) -> None:
    assert diff.rows == (300, 400) and diff.both == 300 and diff.moved == ()
    assert diff.only_first == () and len(diff.only_second) == 100
    for each in diff.languages:
        assert each.tokens[0] >= each.tokens[1] and each.ratio == pytest.approx(each.tokens[1] / each.tokens[0])


def test_changed_texts_are_those_with_other_cuts(diff: VocabularyDiff) -> None:
    small, large = byte_bpe(300), byte_bpe(400)
    for each in diff.languages:
        changed = [text for text in TEXTS[each.language] if small.encode(text).tokens != large.encode(text).tokens]
        assert each.changed == len(changed) and each.texts == len(TEXTS[each.language])
    assert diff.examples and all(example.first != example.second for example in diff.examples)
    assert all("".join(e.first) == "".join(e.second) for e in diff.examples if "<0x" not in "".join(e.first + e.second))


def test_nothing_differs_from_itself() -> None:
    same = compare(side(byte_bpe(), "one"), side(byte_bpe(), "two"), TEXTS)
    assert same.moved == same.only_first == same.only_second == same.examples == ()
    assert all(each.ratio == 1 and each.changed == 0 for each in same.languages)


def test_ids_that_moved_are_named() -> None:
    vocabularies = [SharedVocabulary.train(dict.fromkeys(names, TEXTS["en"]), 300) for names in (["en"], ["en", "x"])]
    one, two = (Side(make_subject(each), spell_vocabulary(each)) for each in vocabularies)
    found = compare(one, two, {})
    assert ("!", one_id(one, b"!"), one_id(two, b"!")) in found.moved
    assert one_id(two, b"!") == one_id(one, b"!") + 1  # after one more tag
    assert found.only_second == ("<x>",) and found.languages == ()


def one_id(side: Side, text: bytes) -> int:
    return next(id for id, spelled in side.spelled.items() if spelled == text)


def test_kinds_that_write_pieces_differently_are_compared_by_their_text() -> None:
    found = compare(side(byte_bpe(), "bpe"), side(word_piece(), "wordpiece"), {"en": ["open"]})
    assert " red" in {*found.only_second, *(piece for piece, _, _ in found.moved)}
    assert show(b" a\n\xc3\xa4") == " a\\nä" and show(b"\xff") == "<0xFF>"


def test_united_vocabularies_have_the_text_of_their_members() -> None:
    members = {each: SharedVocabulary.train({each: TEXTS[each]}, 300) for each in ("en", "de")}
    united = UnitedVocabulary(members, make_row_map(members))
    spelled = spell_vocabulary(united)
    assert set(spelled) == set(range(united.size))
    for language in members:
        for ids, text in zip(united.encode_many(TEXTS[language], language), TEXTS[language], strict=True):
            assert b"".join(spelled[row] for row in ids).decode() == text


def test_every_format_tells_it(diff: VocabularyDiff) -> None:
    for told in (to_text(diff), to_markdown(diff), to_html(diff)):
        assert "texts cut differently" in told and "only in large" in told and "small" in told
    assert len(json.loads(to_json(diff))["only_second"]) == 100
    assert "<script" not in to_html(diff)
