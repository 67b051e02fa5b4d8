"""Recipe: how a vocabulary is to be made of a corpus; a run config's words go in, checked values come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import nearest_name

Strategy: TypeAlias = Literal["joint", "parity", "unigram", "clustered", "per_language"]
Policy: TypeAlias = Literal["surface", "surface_similar", "dictionary", "none"]


@dataclass(frozen=True)  # not final: jsonargparse reads no defaults of final classes
class Recipe:
    """How a vocabulary is made: learned from the training split, or of tokenizer files that are given.

    Args:
        strategy: how it is learned; "per_language" learns one for each language and unites them by a row map.
        pretokenizer: how text is cut before: "multilingual", "scripts", "gpt2" or "metaspace"; default the strategy's.
        policy: which ids of united vocabularies share a row: equal "surface", those also used alike in parallel
            text ("surface_similar"), those and the words of a "dictionary", or "none" but the special tokens.
        threshold: surface_similar: the least Dice coefficient, from 0 to 1.
        dictionary: words that mean the same: "emoji", "babel", "induced" (from the aligned training messages), or the
            path of a .tsv file.
        member_size: per_language: rows of each language's own vocabulary; default `vocabulary_size` / languages.
        rows: path of a row map (rows.safetensors) for the tokenizer files that `data.vocabulary` gives, in place of
            making one by `policy`.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    strategy: Strategy = "joint"
    pretokenizer: str | None = None
    policy: Policy = "surface"
    threshold: float = 0.5
    dictionary: str | None = None
    member_size: int | None = None
    rows: str | None = None

    def __post_init__(self) -> None:
        check_word("data.recipe.strategy", self.strategy, get_args(Strategy))
        check_word("data.recipe.policy", self.policy, get_args(Policy))
        if not 0.0 <= self.threshold <= 1.0:
            raise ConfigError(f"data.recipe.threshold is {self.threshold}; it must lie between 0 and 1.")
        if self.policy == "dictionary" and self.dictionary is None:
            raise ConfigError(
                "data.recipe.policy: dictionary needs data.recipe.dictionary: emoji, babel, induced, or a .tsv file."
            )
        if self.member_size is not None and self.member_size < 1:
            raise ConfigError(f"data.recipe.member_size is {self.member_size}; it must be positive.")


def check_word(where: str, word: str, words: tuple[str, ...]) -> None:
    """Refuse a word that is not among those known.

    Raises:
        ConfigError: naming the nearest.
    """
    if word not in words:
        nearest = nearest_name(word, list(words))
        hint = f" Nearest: {nearest!r}." if nearest else ""
        raise ConfigError(f"{where} is {word!r}; it must be one of {', '.join(words)}.{hint}")
