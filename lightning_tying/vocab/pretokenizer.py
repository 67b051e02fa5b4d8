"""How text is cut before the pieces are learned: nothing goes in, a normalizer, a pre-tokenizer and a decoder come out.

The expression keeps a letter and its combining marks together. The usual one of GPT-2 cuts at marks, so that Devanagari
is cut inside its syllables and Vietnamese in decomposed form falls apart.
"""

from __future__ import annotations

from tokenizers import Regex, decoders, normalizers, pre_tokenizers

WORDS = r" ?[\p{L}\p{M}]+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+|\s+"

_NFC = normalizers.NFC()


def normalize(text: str) -> str:
    """The text in Unicode's normal form C, exactly as the vocabulary sees it.

    Args:
        text: any text; lone surrogates, which are no Unicode text, become U+FFFD.
    """
    return _NFC.normalize_str(text.encode("utf-8", "replace").decode("utf-8"))


def make_normalizer() -> normalizers.Normalizer:
    """The normalizer: NFC, the only one that loses nothing a reader could see."""
    return normalizers.NFC()


def make_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Words with their leading blank, numbers in threes, runs of signs, white space; then each byte as one sign."""
    words = pre_tokenizers.Split(Regex(WORDS), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([words, to_bytes])


def make_decoder() -> decoders.Decoder:
    """The inverse of the bytes' signs."""
    return decoders.ByteLevel()


def byte_alphabet() -> list[str]:
    """The 256 signs that stand for the bytes, sorted, so that their ids are the same in every run."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())
