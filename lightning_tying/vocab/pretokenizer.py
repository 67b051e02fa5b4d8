"""How text is cut before the pieces are learned: a preset's name goes in; normalizer, cutter and decoder come out.

The default's expression keeps a letter and its combining marks together. The usual one of GPT-2 cuts at marks, so that
Devanagari is cut inside its syllables and Vietnamese in decomposed form falls apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, final

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers

from lightning_tying.errors import ConfigError

WORDS = r" ?[\p{L}\p{M}]+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+|\s+"
BLANK = "▁"

# letters of one script, with their marks; Japanese mixes its three as a matter of course
_SCRIPT_SETS = (
    "\\p{Latin}",
    "\\p{Cyrillic}",
    "\\p{Greek}",
    "\\p{Arabic}",
    "\\p{Hebrew}",
    "\\p{Devanagari}",
    "\\p{Bengali}",
    "\\p{Thai}",
    "\\p{Hangul}",
    "\\p{Han}\\p{Hiragana}\\p{Katakana}ー",
)
SCRIPT_WORDS = "|".join([*(rf" ?(?:[[{script}]&&\p{{L}}]\p{{M}}*)+" for script in _SCRIPT_SETS), WORDS])
MULTILINGUAL = "multilingual"
METASPACE = "metaspace"

PreTokenizer: TypeAlias = pre_tokenizers.PreTokenizer
_NFC = normalizers.NFC()


@final
@dataclass(frozen=True)
class Preset:
    """One way to cut text.

    Args:
        byte_level: whether pieces are made of bytes; else of letters, with a byte piece for each rare one's bytes.
        normalizer: makes what a text is read as.
        pre_tokenizer: makes what cuts it.
        decoder: makes what puts it together again.
    """

    byte_level: bool
    normalizer: Callable[[], normalizers.Normalizer]
    pre_tokenizer: Callable[[], PreTokenizer]
    decoder: Callable[[], decoders.Decoder]

    def prepare(self, tokenizer: Tokenizer) -> Tokenizer:
        """Give a tokenizer this way to cut; the tokenizer itself comes back."""
        tokenizer.normalizer = self.normalizer()
        tokenizer.pre_tokenizer = self.pre_tokenizer()
        tokenizer.decoder = self.decoder()
        return tokenizer


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"There is no pretokenizer {name!r}; there are: {', '.join(PRESETS)}.")
    return PRESETS[name]


def normalize(text: str) -> str:
    """The text in Unicode's normal form C, exactly as a byte-level vocabulary sees it.

    Args:
        text: any text; lone surrogates, which are no Unicode text, become `?`.
    """
    return _NFC.normalize_str(make_whole(text))


def make_whole(text: str) -> str:
    """The text with `?` for lone surrogates, which tokenizers refuses."""
    return text.encode("utf-8", "replace").decode("utf-8")


def make_normalizer() -> normalizers.Normalizer:
    """The normalizer: NFC, the only one that loses nothing a reader could see."""
    return normalizers.NFC()


def make_pre_tokenizer() -> PreTokenizer:
    """Words with their leading blank, numbers in threes, runs of signs, white space; then each byte as one sign."""
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(WORDS), "isolated"), _to_bytes()])


def make_decoder() -> decoders.Decoder:
    """The inverse of the bytes' signs."""
    return decoders.ByteLevel()


def byte_alphabet() -> list[str]:
    """The 256 signs that stand for the bytes, sorted, so that their ids are the same in every run."""
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def byte_pieces() -> list[str]:
    """The 256 pieces `<0x00>` … `<0xFF>` into which a letter that is no piece falls, where pieces are letters."""
    return [f"<0x{byte:02X}>" for byte in range(256)]


def _to_bytes() -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def _scripts() -> PreTokenizer:
    """The default, cut once more where the script changes, within `Django模型`.

    Not `pre_tokenizers.UnicodeScripts`, which drops leading blanks.
    """
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SCRIPT_WORDS), "isolated"), _to_bytes()])


def _gpt2() -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _blank_normalizer() -> normalizers.Normalizer:
    # a text's own `▁` would come back as a blank anyway; this way it is one from the start
    return normalizers.Sequence([normalizers.NFC(), normalizers.Replace(BLANK, " ")])


def _metaspace() -> PreTokenizer:
    """Words with `▁` for their leading blank, as SentencePiece cuts; `<` stands alone, so that no text spells a tag."""
    blanks = pre_tokenizers.Metaspace(replacement=BLANK, prepend_scheme="never", split=True)
    return pre_tokenizers.Sequence([blanks, pre_tokenizers.Split("<", "isolated")])


def _metaspace_decoder() -> decoders.Decoder:
    # not decoders.Metaspace, which takes the first blank of a text away
    return decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()])


PRESETS: dict[str, Preset] = {
    MULTILINGUAL: Preset(True, make_normalizer, make_pre_tokenizer, make_decoder),
    "gpt2": Preset(True, make_normalizer, _gpt2, make_decoder),
    METASPACE: Preset(False, _blank_normalizer, _metaspace, _metaspace_decoder),
    "scripts": Preset(True, make_normalizer, _scripts, make_decoder),
}
