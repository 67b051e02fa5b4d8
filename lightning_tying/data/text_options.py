"""TextOptions: what a run config says about text data goes in, checked values come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, final, get_args

from lightning_tying.errors import ConfigError
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.vocab import Sampling

Task: TypeAlias = Literal["language_modeling", "translation", "language_identification"]
DEFAULT_SAMPLING = Sampling(alpha=0.3)


@final
@dataclass(frozen=True)
class TextOptions:
    """The options that all text data have; `Catalogs` describes them.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    languages: list[str] | str
    task: str
    source: str
    length: int
    vocabulary_size: int
    vocabulary: str | None
    sampling: Sampling
    mask_placeholders: bool
    cache_dir: str | None

    def __post_init__(self) -> None:
        tasks = list(get_args(Task))
        if self.task not in tasks:
            nearest = nearest_name(self.task, tasks)
            hint = f" Nearest: {nearest!r}." if nearest else ""
            raise ConfigError(f"data.task is {self.task!r}; it must be one of {', '.join(tasks)}.{hint}")
        if self.length < 2:
            raise ConfigError(f"data.length is {self.length}; a row needs at least 2 tokens.")
        if self.vocabulary_size < 1:
            raise ConfigError(f"data.vocabulary_size is {self.vocabulary_size}; it must be positive.")
