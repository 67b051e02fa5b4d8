"""Nothing in; a tokenizer of each of five families out, made here, the same in every run."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from math import log
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lightning_tying.vocab import SharedVocabulary

TEXTS = [
    "Das Haus ist alt, und die Häuser daneben sind neu.",
    "La casa es vieja; las casas nuevas están al lado.",
    "Дом старый, а новые дома стоят рядом.",
    "नमस्ते दुनिया, यह घर पुराना है।",
    "这座房子很旧。 旁边的房子是新的。",
    "a house, an old house; 42 houses\twith  blanks",
]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
FAMILIES = ("byte_bpe", "metaspace_bpe", "unigram", "word_piece", "transformers")


@cache
def make(family: str) -> Tokenizer:
    return MAKERS[family]()


def byte_bpe() -> Tokenizer:
    return Tokenizer.from_str(SharedVocabulary.train({"de": TEXTS}, size=420).to_json())


def metaspace_bpe() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    trainer = trainers.BpeTrainer(vocab_size=560, special_tokens=["<unk>", "<s>", "</s>", *BYTES], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [entry for entry in data["added_tokens"] if entry["content"] not in BYTES]  # just pieces
    return Tokenizer.from_str(json.dumps(data))


def unigram() -> Tokenizer:
    words = Counter(word for text in TEXTS for word in text.replace(" ", " ▁").split(" "))
    letters = Counter("".join(words))
    total = words.total() + letters.total()
    pieces = {text: log(count / total) for text, count in (letters | words).items() if text}
    scored = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *((byte, -20.0) for byte in BYTES), *pieces.items()]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0, byte_fallback=True))
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    return tokenizer


def word_piece() -> Tokenizer:
    words = sorted({word for text in TEXTS for word in text.split()})
    starts = {word[:end] for word in words for end in (1, 2, len(word))}
    inside = {f"##{word[at:]}" for word in words for at in (1, 2) if word[at:]} | {f"##{w[1]}" for w in words if w[1:]}
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    texts = [*special, *sorted(starts | inside)]
    tokenizer = Tokenizer(models.WordPiece({text: id for id, text in enumerate(texts)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def transformers_file() -> Tokenizer:
    """As Llama writes it: blanks by the normalizer, added tokens after the model's pieces."""
    from transformers import PreTrainedTokenizerFast

    own = metaspace_bpe()
    own.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    own.pre_tokenizer = None
    own.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    fast = PreTrainedTokenizerFast(tokenizer_object=own, eos_token="</s>", bos_token="<s>", pad_token="[PAD]")
    fast.add_tokens([AddedToken("Straße", special=False), AddedToken(" im Ganzen", special=False)])
    with TemporaryDirectory() as folder:
        fast.save_pretrained(folder)
        return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))


MAKERS = {
    "byte_bpe": byte_bpe,
    "metaspace_bpe": metaspace_bpe,
    "unigram": unigram,
    "word_piece": word_piece,
    "transformers": transformers_file,
}
