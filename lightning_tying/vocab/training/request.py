"""TrainingRequest: what is asked of a training goes in, checked options come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, final

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.pretokenizer import MULTILINGUAL
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.special_tokens import EOS, PAD, language_tag

Texts: TypeAlias = Mapping[str, Sequence[str]]
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0 where nobody knows)."""

VARIANTS = ("base", "window", "hybrid")


def ignore_progress(stage: str, done: int, total: int) -> None:
    """Show nothing."""


@final
@dataclass(frozen=True)
class ParityOptions:
    """How parity-aware BPE chooses the language whose pair is merged next (Foroutan et al. 2025).

    Args:
        variant: "base": the language that pays most on the dev texts; "window": the same, but none too often within
            the last `window_size` choices; "hybrid": plain BPE for the first `global_merges`, then "base".
        window_size: choices that "window" looks back on.
        alpha: of "window": how many times its fair part of the window a language may get.
        global_merges: merges of plain BPE at the beginning; None for none, with "hybrid" for half of all.

    Raises:
        ConfigError: a value is out of range.
    """

    variant: str = "base"
    window_size: int = 100
    alpha: float = 2.0
    global_merges: int | None = None

    def __post_init__(self) -> None:
        problems: list[str] = []
        if self.variant not in VARIANTS:
            problems.append(f"parity.variant is {self.variant!r}; it must be one of {', '.join(VARIANTS)}.")
        if self.window_size < 1:
            problems.append(f"parity.window_size is {self.window_size}; it must be positive.")
        if not 0.0 < self.alpha < float("inf"):
            problems.append(f"parity.alpha is {self.alpha}; it must be a number above 0.")
        if self.global_merges is not None and self.global_merges < 0:
            problems.append(f"parity.global_merges is {self.global_merges}; it cannot be negative.")
        if problems:
            raise ConfigError("\n".join(problems))

    def count_global(self, merges: int) -> int:
        """How many of all merges are those of plain BPE."""
        if self.global_merges is None:
            return merges // 2 if self.variant == "hybrid" else 0
        return min(self.global_merges, merges)


@final
@dataclass(frozen=True)
class TrainingRequest:
    """What a vocabulary is learned from, and how.

    Args:
        texts: the texts of each language, in the order in which the languages get their tags.
        size: rows in all: special tokens, bytes, letters and learned pieces.
        sampling: the share of each language; its size is counted in characters.
        pretokenizer: the preset that cuts the texts.
        dev: "parity": texts that say the same in every language, line by line.
        parity: options of "parity".
        clusters: "clustered": how many groups of languages; None for one in four languages, rounded up.
        progress: told what is being done.
    """

    texts: Texts
    size: int = 8000
    sampling: Sampling = field(default_factory=Sampling)
    pretokenizer: str = MULTILINGUAL
    dev: Texts | None = None
    parity: ParityOptions = field(default_factory=ParityOptions)
    clusters: int | None = None
    progress: Progress = ignore_progress

    @property
    def special_tokens(self) -> list[str]:
        """The special tokens in the order of their ids."""
        return [PAD, EOS, *map(language_tag, self.texts)]


@final
@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Args:
        tokenizer: the vocabulary.
        details: what was decided on the way (clusters and their rows), as plain data.
    """

    tokenizer: Tokenizer
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
