"""What all BPE strategies share: a request goes in, an empty tokenizer and what its trainer starts from come out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from tokenizers import Tokenizer, models

from lightning_tying.vocab.merges import Merge, read_merges
from lightning_tying.vocab.pretokenizer import BLANK, byte_alphabet, byte_pieces, find_preset
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.training.checks import check_alphabet
from lightning_tying.vocab.training.drawing import draw_texts
from lightning_tying.vocab.training.request import Texts, TrainingRequest

COVERAGE = 0.9995  # of the characters of the texts; the rarest fall into bytes (SentencePiece's default)


@final
@dataclass(frozen=True)
class BpeStart:
    """What a BPE trainer starts from.

    Args:
        byte_level: whether pieces are made of bytes.
        special_tokens: by id; with letters the byte pieces follow, which no trainer would make.
        alphabet: the bytes' signs or the letters, sorted.
    """

    byte_level: bool
    special_tokens: list[str]
    alphabet: list[str]

    @property
    def rows(self) -> int:
        """The rows before the first merge."""
        return len(self.special_tokens) + len(self.alphabet)


def make_start(request: TrainingRequest) -> BpeStart:
    """What the trainer of a request starts from.

    Raises:
        ConfigError: the alphabet alone has more rows than were asked for.
    """
    if find_preset(request.pretokenizer).byte_level:
        return BpeStart(True, request.special_tokens, byte_alphabet())
    start = BpeStart(False, [*request.special_tokens, *byte_pieces()], find_letters(request.texts, request.sampling))
    check_alphabet(request, len(start.alphabet), len(start.special_tokens))
    return start


def make_empty(request: TrainingRequest) -> Tokenizer:
    """A tokenizer without pieces that cuts text as the request says."""
    preset = find_preset(request.pretokenizer)
    return preset.prepare(Tokenizer(models.BPE(byte_fallback=not preset.byte_level)))


def finish(tokenizer: Tokenizer, request: TrainingRequest) -> Tokenizer:
    """The tokenizer whose byte pieces are pieces and in use.

    Trainers make special tokens of them, and that of parity-aware BPE forgets what they are for.
    """
    data: dict[str, Any] = json.loads(tokenizer.to_str())
    special = set(request.special_tokens)
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] in special]
    data["model"]["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(data, ensure_ascii=False))


def mark_special(tokenizer: Tokenizer, tokens: list[str]) -> None:
    """Make special tokens of pieces that the model has already; their ids stay."""
    add: Callable[[list[str]], int] = tokenizer.add_special_tokens  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - no stubs
    add(tokens)


def learned_merges(tokenizer: Tokenizer) -> list[Merge]:
    """The merges of a BPE, the first learned first."""
    return list(read_merges(json.loads(tokenizer.to_str())["model"]))


def find_letters(texts: Texts, sampling: Sampling) -> list[str]:
    """The letters that make up `COVERAGE` of what is drawn from the texts, sorted."""
    normalizer = find_preset("metaspace").normalizer()
    counts: Counter[str] = Counter()
    for text, times in draw_texts(texts, sampling):
        for letter, count in Counter(normalizer.normalize_str(text).replace(" ", BLANK)).items():
            counts[letter] += times * count
    wanted, covered, letters = COVERAGE * counts.total(), 0, list[str]()
    for letter, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= wanted:
            break
        covered += count
        letters.append(letter)
    return sorted(letters)
