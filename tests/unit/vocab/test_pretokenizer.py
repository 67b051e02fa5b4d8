"""Where text is cut: never between a letter and its marks."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import PRESETS, byte_alphabet, find_preset, make_pre_tokenizer, normalize


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


def cut(name, text):
    return [text[start:stop] for _, (start, stop) in find_preset(name).pre_tokenizer().pre_tokenize_str(text)]


def test_scripts_cuts_where_the_script_changes_and_keeps_blanks():
    assert cut("scripts", "Django模型 サーバー  नमस्ते, 12345") == [
        "Django", "模型", " サーバー", "  ", "नमस्ते", ",", " 123", "45",
    ]  # fmt: skip


def test_gpt2_cuts_at_marks():
    assert len(cut("gpt2", "नमस्ते")) > 1


@pytest.mark.parametrize("name", PRESETS)
@given(text=st.text())
def test_no_preset_drops_a_letter(name, text):
    assert "".join(cut(name, text)) == text


def test_metaspace_isolates_the_sign_that_begins_tags():
    pieces = find_preset("metaspace").pre_tokenizer().pre_tokenize_str("a <b> <<c")
    assert [piece for piece, _ in pieces] == ["a", "▁", "<", "b>", "▁", "<", "<", "c"]


def test_metaspace_s_decoder_keeps_the_first_blank():
    tokenizer = find_preset("metaspace").prepare(Tokenizer(models.BPE()))
    assert tokenizer.decoder.decode(["▁a", "▁", "<0xC3>", "<0xA9>"]) == " a é"


def test_unknown_preset():
    with pytest.raises(ConfigError, match="no pretokenizer 'gpt4'; there are: multilingual, gpt2, metaspace, scripts"):
        find_preset("gpt4")
