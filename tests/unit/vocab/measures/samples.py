"""Nothing in; small texts in four languages, parallel by key, and tokenizers of several kinds out."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

MESSAGES = {
    "en": {
        "open": "Open the red file", "close": "Close the red file", "save": "Save the file now", "red": "The red car",
        "who": "Who is there?", "gift": "A gift for you", "gifts": "No gift today", "third": "Your gift is red",
    },
    "de": {
        "open": "Öffne die rote Datei", "close": "Schließe die rote Datei", "save": "Speichere die Datei jetzt",
        "red": "Das rote Auto", "who": "Wer ist da?", "gift": "Ein Geschenk für dich", "gifts": "Heute kein Geschenk",
        "poison": "Gift!", "third": "Dein Geschenk ist rot",
    },
    "es": {
        "open": "Abrir el archivo rojo", "close": "Cerrar el archivo rojo", "save": "Guardar la red ahora",
        "red": "El coche rojo", "who": "¿Quién es?", "gift": "La red es un regalo", "gifts": "Hoy no hay red",
        "third": "Tu regalo es rojo",
    },
    "zh": {
        "open": "打开红色文件", "close": "关闭红色文件", "save": "立即保存文件", "red": "红色汽车", "who": "谁在那里？",
        "gift": "给你的礼物", "gifts": "今天没有礼物", "third": "你的礼物是红色的",
    },
}  # fmt: skip
TEXTS = {language: list(messages.values()) for language, messages in MESSAGES.items()}
ALL = [text for texts in TEXTS.values() for text in texts]


def byte_bpe(size: int = 400) -> Tokenizer:
    """A byte-level BPE that loses nothing."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(ALL, trainer)
    return tokenizer


def word_piece() -> Tokenizer:
    """A WordPiece over the Latin words alone: Chinese is unknown to it, and letters are made small."""
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = ["open", "the", "red", "file", "gift", "close", "save"]
    pieces = ["[UNK]", "[CLS]", *words, *letters, *(f"##{letter}" for letter in letters)]
    model = models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+|\p{P}"), "removed")
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(["[CLS]"])
    return tokenizer


def encode_with(tokenizer: Tokenizer):
    """An `Encode` of a tokenizer."""

    def encode(texts: Sequence[str], language: str) -> list[list[int]]:
        return [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]

    return encode


def characters(texts: Sequence[str], language: str) -> list[list[int]]:
    """Each character is a token; its code point is its id."""
    return [[ord(sign) for sign in text] for text in texts]
