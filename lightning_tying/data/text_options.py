"""TextOptions: what a run config says about text data goes in, checked values come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

from lightning_tying.data.languages import to_bcp47
from lightning_tying.data.recipe import Recipe, check_word
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling

Task: TypeAlias = Literal["language_modeling", "translation", "language_identification"]
DEFAULT_SAMPLING = Sampling(alpha=0.3)
DEFAULT_RECIPE = Recipe()


@final
@dataclass(frozen=True, kw_only=True)
class TextOptions:
    """The options that all text data have; `Catalogs` describes them.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    languages: list[str] | str
    task: str
    source: list[str] | str
    through: str | None
    length: int
    max_tokens: int | None
    vocabulary_size: int
    source_vocabulary_size: int | None
    vocabulary: str | Mapping[str, str] | None
    recipe: Recipe
    sampling: Sampling
    mask_placeholders: bool
    cache_dir: str | None

    def __post_init__(self) -> None:
        check_word("data.task", self.task, get_args(Task))
        if self.length < 2:
            raise ConfigError(f"data.length is {self.length}; a row needs at least 2 tokens.")
        if self.max_tokens is not None and self.max_tokens < 2 * self.length:
            raise ConfigError(
                f"data.max_tokens is {self.max_tokens}; a pair may have 2 · data.length = {2 * self.length} tokens. "
                "Give at least as many."
            )
        if self.vocabulary_size < 1:
            raise ConfigError(f"data.vocabulary_size is {self.vocabulary_size}; it must be positive.")
        if self.source_vocabulary_size is not None and self.source_vocabulary_size < 1:
            raise ConfigError(f"data.source_vocabulary_size is {self.source_vocabulary_size}; it must be positive.")
        if self.source_vocabulary_size is not None and self.task != "translation":
            raise ConfigError(f"data.source_vocabulary_size is for translation; data.task is {self.task!r}.")
        if not self.source:
            raise ConfigError("data.source is empty; give a language's code, a list of codes, or all.")

    @property
    def asked_sources(self) -> list[str]:
        """The sources' codes, in order; empty where every language is one ("all")."""
        if self.source == "all":
            return []
        names = self.source.split(",") if isinstance(self.source, str) else self.source
        return list(dict.fromkeys(to_bcp47(name.strip()) for name in names if name.strip()))

    @property
    def pivot(self) -> str | None:
        """The code that one side of every direction has."""
        return None if self.through is None else to_bcp47(self.through)

    @property
    def separate(self) -> bool:
        """Whether source and target keep their own vocabularies and ids."""
        return self.source_vocabulary_size is not None
