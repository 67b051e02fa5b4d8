"""The strategies by name: a strategy and a request go in, what was learned comes out."""

from __future__ import annotations

from collections.abc import Callable

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import METASPACE, MULTILINGUAL
from lightning_tying.vocab.training.checks import check_request
from lightning_tying.vocab.training.clustered import train_clustered
from lightning_tying.vocab.training.joint import train_joint
from lightning_tying.vocab.training.parity import train_parity
from lightning_tying.vocab.training.request import Trained, TrainingRequest
from lightning_tying.vocab.training.unigram import train_unigram

Strategy = Callable[[TrainingRequest], Trained]

STRATEGIES: dict[str, Strategy] = {
    "joint": train_joint,
    "parity": train_parity,
    "unigram": train_unigram,
    "clustered": train_clustered,
}


def train_tokenizer(request: TrainingRequest, strategy: str) -> Trained:
    """Learn one tokenizer for all languages of a request; the same request gives the same bytes, in every process.

    Args:
        request: what to learn from, and how.
        strategy: a name of `STRATEGIES`.

    Raises:
        ConfigError: there is no such strategy, or the request cannot become a vocabulary.
    """
    find_strategy(strategy)
    check_request(request)
    return STRATEGIES[strategy](request)


def find_strategy(name: str) -> Strategy:
    """The strategy of a name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in STRATEGIES:
        raise ConfigError(
            f"There is no vocabulary strategy {name!r}; there are: {', '.join(STRATEGIES)}; and, for a vocabulary of "
            "each language's own, per_language (train_members)."
        )
    return STRATEGIES[name]


def default_pretokenizer(strategy: str) -> str:
    """The preset that a strategy cuts with where none is asked for."""
    return METASPACE if strategy == "unigram" else MULTILINGUAL
