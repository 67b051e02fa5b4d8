"""dictionary: the words of a group share a row, and nothing else moves."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows import make_row_map


def _member(*pieces):
    tokenizer = Tokenizer(models.BPE(vocab={piece: id for id, piece in enumerate(pieces)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def _rows(members, dictionary, **options):
    rows = make_row_map(members, "dictionary", dictionary=dictionary, **options)
    return {
        (name, piece): int(rows.rows_of(name)[id])
        for name, tokenizer in members.items()
        for piece, id in tokenizer.get_vocab().items()
    }


MEMBERS = {
    "de": _member("ĠHund", "Hund", "ĠGift", "ĠKÃ¶ter", "e"),
    "en": _member("Ġdog", "Ġgift", "ĠHund", "e"),
    "zh": _member("çĭĹ", "e"),
}


def test_words_of_a_group_share_whatever_the_script():
    rows = _rows(MEMBERS, ({"de": ("Hund",), "en": ("dog",), "zh": ("狗",)},))
    assert rows["de", "ĠHund"] == rows["en", "Ġdog"] == rows["zh", "çĭĹ"]
    assert rows["de", "Hund"] != rows["de", "ĠHund"]  # without its blank it is another text
    assert rows["en", "ĠHund"] != rows["de", "ĠHund"]  # a word of the dictionary follows the dictionary alone
    assert rows["de", "e"] == rows["en", "e"] == rows["zh", "e"]


def test_a_group_of_one_member_changes_nothing():
    rows = _rows(MEMBERS, ({"de": ("Hund",), "en": ("nothing",)},))
    assert rows["de", "ĠHund"] == rows["en", "ĠHund"]


def test_several_words_of_one_language_share_only_when_asked():
    dictionary = ({"de": ("Köter", "Hund"), "en": ("dog",)},)
    rows = _rows(MEMBERS, dictionary)
    assert rows["de", "ĠKÃ¶ter"] == rows["en", "Ġdog"] != rows["de", "ĠHund"]
    rows = _rows(MEMBERS, dictionary, synonyms=True)
    assert rows["de", "ĠKÃ¶ter"] == rows["en", "Ġdog"] == rows["de", "ĠHund"]
    made = make_row_map(MEMBERS, "dictionary", dictionary=dictionary, synonyms=True)
    assert made.log_multiplicity("de")[[0, 3]] == pytest.approx([0.6931471805599453] * 2)


def test_decomposed_words_of_the_dictionary_are_found():
    rows = _rows(MEMBERS, ({"de": ("Ko\u0308ter",), "en": ("dog",)},))
    assert rows["de", "ĠKÃ¶ter"] == rows["en", "Ġdog"]


def test_a_word_in_two_groups_is_refused():
    with pytest.raises(ConfigError, match=r"'Hund' \(de\) in the groups 0 and 1"):
        _rows(MEMBERS, ({"de": ("Hund",), "en": ("dog",)}, {"de": ("Hund",), "en": ("gift",)}))
    with pytest.raises(ConfigError, match="empty word in 'de'"):
        _rows(MEMBERS, ({"de": (" ",), "en": ("dog",)},))


def test_a_dictionary_of_other_languages_is_refused():
    with pytest.raises(ConfigError, match="words in fr, it, and the members are de, en, zh"):
        _rows(MEMBERS, ({"fr": ("chien",), "it": ("cane",)},))
