"""Unigram: texts of all languages go in, a Unigram model that SentencePiece trained comes out as a tokenizer.

SentencePiece is faster than the trainer of `tokenizers`, and gives the same model in every run. What it learned is
loaded into `tokenizers` with the same ids, and cuts every text as SentencePiece does.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer, models

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import METASPACE, find_preset
from lightning_tying.vocab.special_tokens import EOS, PAD, UNKNOWN, language_tag
from lightning_tying.vocab.training.bpe import COVERAGE, find_letters, mark_special
from lightning_tying.vocab.training.checks import MAX_CHARACTERS, check_alphabet
from lightning_tying.vocab.training.drawing import LEARNING, READING, draw_texts
from lightning_tying.vocab.training.request import Trained, TrainingRequest

THREADS = 2  # SentencePiece's result depends on it, so that it cannot be the machine's
_PAD_ID, _EOS_ID, _UNKNOWN_ID = 0, 1, 2
_DIGITS = 12  # of scores: far finer than SentencePiece's 32 bits, and read back from JSON as the same number
_ALONE = "<"  # never part of a longer piece, so that no text spells a tag or a byte piece


def train_unigram(request: TrainingRequest) -> Trained:
    """A Unigram model (Kudo 2018) with a byte piece for each byte, so that there is no unknown token.

    Ids: `<pad>` 0, `<eos>` 1, `<unk>` 2, tags, `<`, bytes, pieces.

    Args:
        request: texts, size and sampling; the pre-tokenizer is "metaspace".

    Raises:
        ConfigError: another pre-tokenizer is asked for, SentencePiece is missing or refuses, or the letters alone
            fill the rows.
    """
    if request.pretokenizer != METASPACE:
        raise ConfigError(
            f"The strategy unigram cuts text as SentencePiece does (pretokenizer: {METASPACE}), not as "
            f"{request.pretokenizer!r} does."
        )
    letters = find_letters(request.texts, request.sampling)
    check_alphabet(request, len(letters), len(request.texts) + 4 + 256)
    pieces = _learn(request)
    preset = find_preset(METASPACE)
    tokenizer = preset.prepare(Tokenizer(models.Unigram(pieces, _UNKNOWN_ID, byte_fallback=True)))
    mark_special(tokenizer, [PAD, EOS, UNKNOWN, *map(language_tag, request.texts)])
    return Trained(tokenizer)


def _learn(request: TrainingRequest) -> list[tuple[str, float]]:
    """The pieces by id with their scores."""
    sentencepiece = _import_sentencepiece()
    written = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_write_lines(request), model_writer=written, vocab_size=request.size, **_options(request)
        )
        model: Any = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
    except (RuntimeError, OSError) as error:
        reason = str(error).rpartition("] ")[2] or error
        raise ConfigError(f"SentencePiece cannot learn {request.size} rows from these texts: {reason}") from error
    return [(model.id_to_piece(id), round(model.get_score(id), _DIGITS)) for id in range(model.get_piece_size())]


def _options(request: TrainingRequest) -> dict[str, Any]:
    return {
        "model_type": "unigram",
        "input_format": "tsv",  # a text and its count: sampling without copies
        "pad_id": _PAD_ID,
        "eos_id": _EOS_ID,
        "unk_id": _UNKNOWN_ID,
        "bos_id": -1,
        "pad_piece": PAD,
        "eos_piece": EOS,
        "unk_piece": UNKNOWN,
        "control_symbols": [language_tag(language) for language in request.texts],
        "user_defined_symbols": [_ALONE],
        "byte_fallback": True,
        "character_coverage": COVERAGE,
        "normalization_rule_name": "identity",  # the texts are in the tokenizer's own normal form
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "hard_vocab_limit": False,  # a small corpus gives fewer pieces, as in the other strategies
        "max_sentence_length": 4 * MAX_CHARACTERS,  # bytes; longer ones it leaves out without a word
        "num_threads": THREADS,
        "minloglevel": 2,
    }


def _write_lines(request: TrainingRequest) -> Iterator[str]:
    normalizer = find_preset(METASPACE).normalizer()
    total = sum(map(len, request.texts.values()))
    for number, (text, times) in enumerate(draw_texts(request.texts, request.sampling)):
        if number % 1000 == 0:
            request.progress(READING, number, total)
        # tabs and line ends, which the format cannot hold, are bytes when a text is encoded
        line = " ".join(normalizer.normalize_str(text).replace("\t", " ").splitlines())
        if line:
            yield f"{line}\t{times}"
    request.progress(LEARNING, 0, 0)


def _import_sentencepiece() -> Any:
    try:
        import sentencepiece  # an optional package
    except ImportError as error:
        raise ConfigError(
            "The strategy unigram learns with the package sentencepiece, which is not installed: "
            "pip install 'lightning-tying[vocab]'"
        ) from error
    return sentencepiece
