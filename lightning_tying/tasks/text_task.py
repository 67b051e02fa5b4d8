"""A task over texts: keeps the vocabulary that it was trained with, in its checkpoints and for prediction alone."""

from __future__ import annotations

from typing import Any, cast

import torch
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.tasks.task import Task
from lightning_tying.vocab.vocabulary import Vocabulary, read_vocabulary

VOCABULARY_KEY = "vocabulary"
LANGUAGES_KEY = "languages"


class TextTask(Task):
    """The base of the tasks that read or write text.

    Attributes:
        vocabulary: the datamodule's, or the checkpoint's; None before either is there.
        languages: the names of the batches' `language` indices.
    """

    vocabulary: Vocabulary | None = None
    languages: tuple[str, ...] = ()

    @override
    def setup(self, stage: str) -> None:
        """Take the vocabulary and the languages from the datamodule, where it has them."""
        data = self.datamodule
        found = getattr(data, "vocabulary", None)
        if found is not None:
            self.vocabulary = found
        names = getattr(data, "languages", None)
        if isinstance(names, list | tuple):
            self.languages = tuple(str(name) for name in cast("list[object]", names))
        self.make_metrics()

    def make_metrics(self) -> None:
        """Make what depends on languages and vocabulary; called by `setup`."""

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the vocabulary and the languages."""
        super().on_save_checkpoint(checkpoint)
        if self.vocabulary is not None:
            checkpoint[VOCABULARY_KEY] = self.vocabulary.to_json()
        checkpoint[LANGUAGES_KEY] = list(self.languages)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the checkpoint's vocabulary, and let the data be encoded with it.

        Raises:
            ConfigError: the data were encoded with another one and cannot change it, or the network has too few or
                too many rows for it.
        """
        super().on_load_checkpoint(checkpoint)
        text = checkpoint.get(VOCABULARY_KEY)
        if not isinstance(text, str):
            return
        restored = read_vocabulary(text, "The checkpoint's vocabulary")
        self._check_rows(checkpoint, restored)
        self._encode_data_with(restored)
        self.vocabulary = restored
        if not self.languages:
            self.languages = tuple(checkpoint.get(LANGUAGES_KEY, ()))

    def _check_rows(self, checkpoint: dict[str, Any], restored: Vocabulary) -> None:
        """Refuse tables for another vocabulary before torch does, which cannot know what to do about it."""
        found = getattr(self.datamodule, "vocabulary", None)
        if found is None or found.digest == restored.digest:
            return
        state = cast("dict[str, Any]", checkpoint.get("state_dict") or {})
        for name, mine in self.named_parameters(remove_duplicate=False):
            saved = state.get(name)
            if not isinstance(saved, torch.Tensor) or saved.shape == mine.shape or saved.shape[1:] != mine.shape[1:]:
                continue
            raise ConfigError(
                f"The checkpoint's vocabulary has {restored.size:,} ids, and its {name} {len(saved):,} rows; this "
                f"network was made for {len(mine):,}. Give the data its size: --data.vocabulary_size {len(saved)}"
            )

    def _encode_data_with(self, restored: Vocabulary) -> None:
        found = getattr(self.datamodule, "vocabulary", None)
        if found is None or found.digest == restored.digest:
            return
        use_vocabulary = getattr(self.datamodule, "use_vocabulary", None)
        if not callable(use_vocabulary):
            raise ConfigError(
                "The data were encoded with another vocabulary than the checkpoint's "
                f"({found.size} and {restored.size} ids). Give the data the vocabulary of the training."
            )
        use_vocabulary(restored)

    def name_language(self, index: int) -> str | None:
        """The language of a batch's index; None where the data gave no names."""
        return self.languages[index] if index < len(self.languages) else None

    @property
    def pad_id(self) -> int:
        """The id that targets ignore; without a vocabulary torch's -100."""
        return -100 if self.vocabulary is None else self.vocabulary.pad_id

    def require_vocabulary(self) -> Vocabulary:
        """Return the vocabulary.

        Raises:
            ConfigError: there is none yet.
        """
        if self.vocabulary is None:
            raise ConfigError(
                "There is no vocabulary. Load the module from a checkpoint, or use a datamodule with a `vocabulary`."
            )
        return self.vocabulary
