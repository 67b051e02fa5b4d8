"""Parity-aware BPE: texts and parallel dev texts go in, a BPE in which languages pay alike comes out."""

from __future__ import annotations

from tokenizers import trainers

from lightning_tying.vocab.pretokenizer import make_whole
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.training.bpe import finish, make_empty, make_start
from lightning_tying.vocab.training.checks import check_dev
from lightning_tying.vocab.training.drawing import LEARNING, draw_languages
from lightning_tying.vocab.training.request import Trained, TrainingRequest

_AS_THEY_ARE = Sampling(policy="proportional")


def train_parity(request: TrainingRequest) -> Trained:
    """A BPE whose every merge is the best one for the language that pays most on the dev texts.

    Foroutan et al. 2025, algorithm 1, as `tokenizers` has it. Each language's own counts decide its merges, so that
    sampling matters only for the merges of plain BPE at the beginning ("hybrid").

    Args:
        request: texts, dev texts, size, pre-tokenizer and options.

    Raises:
        ConfigError: there are no dev texts in every language, or the alphabet alone fills the rows.
    """
    dev = check_dev(request)
    start, tokenizer = make_start(request), make_empty(request)
    merges = request.size - start.rows
    plain = request.parity.count_global(merges)
    trainer = trainers.ParityBpeTrainer(
        num_merges=merges,
        variant="window" if request.parity.variant == "window" else "base",
        global_merges=plain,
        window_size=request.parity.window_size,
        alpha=request.parity.alpha,
        special_tokens=start.special_tokens,
        initial_alphabet=start.alphabet,
        limit_alphabet=len(start.alphabet),
        show_progress=False,
    )
    sampling = request.sampling if plain else _AS_THEY_ARE
    drawn = [[text for text, times in texts for _ in range(times)] for texts in draw_languages(request.texts, sampling)]
    request.progress(LEARNING, 0, 0)
    trainer.train_from_iterator(tokenizer, drawn, [[make_whole(text) for text in lines] for lines in dev])
    details = {"dev_texts": len(dev[0]), "global_merges": plain}
    return Trained(tokenizer if start.byte_level else finish(tokenizer, request), details)
