"""SharedVocabulary: one tokenizer for many languages; texts go in, ids come out, and back again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.tokenizer_file import read_tokenizer
from lightning_tying.vocab.train import EOS, PAD, STRATEGIES, Texts, check_request


@final
class SharedVocabulary:
    """A byte-level BPE with a tag for each language. Make one by `train`, `from_json` or `load`.

    Every text can be encoded, since all 256 bytes are pieces; there is no unknown token. What looks like a special
    token in a text (`<de>`, `<eos>`) is text. Ids: `<pad>` is 0, `<eos>` 1, then the language tags, bytes, merges.

    Args:
        tokenizer: the tokenizer, which this object keeps.
        asked: the number of rows that was asked for, where the training found fewer pieces.
    """

    def __init__(self, tokenizer: Tokenizer, asked: int | None = None) -> None:
        tokenizer.encode_special_tokens = True  # a text that says "<eos>" must not end there; the JSON does not keep it
        self._tokenizer = tokenizer
        self._text = tokenizer.to_str()
        added = {token.content: id for id, token in sorted(tokenizer.get_added_tokens_decoder().items())}
        self.pad_id: int = added.pop(PAD)
        self.eos_id: int = added.pop(EOS)
        self.language_ids: dict[str, int] = {tag[1:-1]: id for tag, id in added.items()}
        # the largest id decides, not the number of entries: ids may have holes
        self.size: int = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.asked: int = self.size if asked is None else asked

    @classmethod
    def train(
        cls, texts: Texts, size: int = 8000, sampling: Sampling | None = None, strategy: str = "joint"
    ) -> SharedVocabulary:
        """Learn a vocabulary; the same texts give the same bytes, in every process.

        A small corpus may have fewer pieces than `size`; then the result's `size` is smaller than its `asked`.

        Args:
            texts: the texts of each language, `{"de": [...], "fr": [...]}`; the order decides the tags' ids.
            size: rows in all: special tokens, 256 bytes and learned pieces.
            sampling: the share of each language in what is learned from; default `Sampling(0.3)`.
            strategy: how to learn; "joint" is one BPE over all languages together.

        Raises:
            ConfigError: no texts, too small a size, an unknown strategy.
        """
        if strategy not in STRATEGIES:
            raise ConfigError(f"There is no vocabulary strategy {strategy!r}; there are: {', '.join(STRATEGIES)}.")
        check_request(texts, size)
        return cls(STRATEGIES[strategy](texts, size, sampling or Sampling()), asked=size)

    def encode(self, text: str, language: str | None = None) -> list[int]:
        """The ids of a text, after the tag of its language where one is given.

        Raises:
            ConfigError: the vocabulary has no tag for the language.
        """
        tag = [] if language is None else [self.tag_id(language)]
        return [*tag, *self.encode_many([text])[0]]

    def encode_many(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text, without tags; faster than one by one."""
        clean = [
            text.encode("utf-8", "replace").decode("utf-8") for text in texts
        ]  # tokenizers refuses lone surrogates
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(clean, add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids; special tokens leave no trace, bytes that are no UTF-8 become U+FFFD."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def tag_id(self, language: str) -> int:
        """The id of a language's tag.

        Raises:
            ConfigError: the vocabulary has no tag for the language.
        """
        if language not in self.language_ids:
            raise ConfigError(
                f"The vocabulary has no tag for the language {language!r}; it has: {', '.join(self.language_ids)}."
            )
        return self.language_ids[language]

    def byte_counts(self) -> list[int]:
        """For each id the bytes of text that it stands for; `<eos>` counts as a line break, other special tokens 0."""
        counts = [0] * self.size
        for piece, id in self._tokenizer.get_vocab(with_added_tokens=True).items():
            counts[id] = len(piece)  # one sign for each byte
        for id in (self.pad_id, *self.language_ids.values()):
            counts[id] = 0
        counts[self.eos_id] = 1
        return counts

    @property
    def digest(self) -> str:
        """The SHA-256 of the JSON: equal digests mean equal vocabularies."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    def to_json(self) -> str:
        """The content of `tokenizer.json`, which any program that uses `tokenizers` can read."""
        return self._text

    @classmethod
    def from_json(cls, text: str, where: str = "The text") -> SharedVocabulary:
        """The vocabulary that a JSON text describes.

        Args:
            text: the content of a `tokenizer.json`.
            where: how messages name the text.

        Raises:
            ConfigError: the text is no vocabulary.
        """
        return cls(read_tokenizer(text, where))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `tokenizer.json`; an interrupted write leaves the old file.

        Raises:
            ConfigError: the file cannot be written.
        """
        target = Path(path)
        beside = target.with_name(f"{target.name}.{os.getpid()}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(self._text, encoding="utf-8")
            os.replace(beside, target)
        except OSError as error:
            raise ConfigError(f"The vocabulary cannot be written to {target}: {error}.") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SharedVocabulary:
        """Read a `tokenizer.json`.

        Raises:
            ConfigError: there is no such file, or it is no vocabulary.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigError(f"The vocabulary {os.fspath(path)} cannot be read: {reason}.") from error
        return cls.from_json(text, where=os.fspath(path))

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return SharedVocabulary.from_json, (self._text,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedVocabulary) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"SharedVocabulary(size={self.size}, languages={list(self.language_ids)})"
