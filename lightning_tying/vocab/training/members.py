"""A vocabulary of each language's own: the texts of the languages go in, one vocabulary for each comes out."""

from __future__ import annotations

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.training.checks import check_request
from lightning_tying.vocab.training.request import Progress, Texts, TrainingRequest, ignore_progress
from lightning_tying.vocab.training.strategies import default_pretokenizer

KINDS = ("joint", "unigram")


def train_members(
    texts: Texts,
    size: int = 2000,
    strategy: str = "joint",
    *,
    pretokenizer: str | None = None,
    progress: Progress = ignore_progress,
) -> dict[str, SharedVocabulary]:
    """Learn a vocabulary for each language alone; a row map shares the rows of pieces that are the same.

    Args:
        texts: the texts of each language.
        size: rows of each vocabulary.
        strategy: what each vocabulary is: "joint" (BPE) or "unigram".
        pretokenizer: the preset that cuts the texts; None for the strategy's own.
        progress: told what is being done.

    Returns:
        By language, in the given order; each has only its own language's tag.

    Raises:
        ConfigError: no texts, a language without text, too small a size, an unknown strategy or pre-tokenizer.
    """
    if strategy not in KINDS:
        raise ConfigError(f"A vocabulary of one language is learned by {' or '.join(KINDS)}, not by {strategy!r}.")
    preset = pretokenizer or default_pretokenizer(strategy)
    check_request(TrainingRequest(texts, size, pretokenizer=preset))
    members: dict[str, SharedVocabulary] = {}
    for language, lines in texts.items():
        progress(f"learning {language}", len(members), len(texts))
        alone = {language: lines}
        members[language] = SharedVocabulary.train(alone, size, Sampling(), strategy, pretokenizer=preset)
    return members
