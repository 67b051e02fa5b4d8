"""Where text is cut: never between a letter and its marks."""

import unicodedata

from lightning_tying.vocab.pretokenizer import byte_alphabet, make_pre_tokenizer, normalize


def words(text):
    return [text[start:stop] for _, (start, stop) in make_pre_tokenizer().pre_tokenize_str(text)]


def test_devanagari_is_not_cut_at_its_marks():
    assert words("नमस्ते दुनिया") == ["नमस्ते", " दुनिया"]


def test_letters_numbers_signs_and_blanks_are_kept_apart():
    assert words("Hi there, 12345  ok!") == ["Hi", " there", ",", " 123", "45", "  ", "ok", "!"]


def test_decomposed_vietnamese_stays_one_word():
    assert words(unicodedata.normalize("NFD", "tiếng")) == [unicodedata.normalize("NFD", "tiếng")]


def test_normalize_composes():
    assert normalize(unicodedata.normalize("NFD", "tiếng Việt")) == "tiếng Việt"


def test_lone_surrogates_become_text():
    assert normalize("a\ud800b") == "a?b"


def test_the_alphabet_has_all_bytes_in_a_fixed_order():
    assert len(set(byte_alphabet())) == 256
    assert byte_alphabet() == sorted(byte_alphabet())
