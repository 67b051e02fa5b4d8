"""Joint BPE: texts of all languages go in, one BPE over all of them together comes out."""

from __future__ import annotations

from tokenizers import trainers

from lightning_tying.vocab.training.bpe import finish, make_empty, make_start
from lightning_tying.vocab.training.drawing import repeat_texts
from lightning_tying.vocab.training.request import Trained, TrainingRequest


def train_joint(request: TrainingRequest) -> Trained:
    """One BPE over all languages together, each with its share of the text (Sennrich et al. 2016).

    Args:
        request: texts, size, sampling and pre-tokenizer.

    Raises:
        ConfigError: the alphabet alone has more rows than were asked for.
    """
    start, tokenizer = make_start(request), make_empty(request)
    trainer = trainers.BpeTrainer(
        vocab_size=request.size,
        special_tokens=start.special_tokens,
        initial_alphabet=start.alphabet,
        limit_alphabet=len(start.alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(repeat_texts(request.texts, request.sampling, request.progress), trainer=trainer)
    return Trained(tokenizer if start.byte_level else finish(tokenizer, request))
