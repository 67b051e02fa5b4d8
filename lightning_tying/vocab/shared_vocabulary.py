"""SharedVocabulary: one tokenizer for many languages; texts go in, ids come out, and back again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import final

from tokenizers import Tokenizer

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.canonical import canonical_pieces
from lightning_tying.vocab.pretokenizer import make_whole
from lightning_tying.vocab.sampling import Sampling
from lightning_tying.vocab.special_tokens import EOS, PAD, UNKNOWN
from lightning_tying.vocab.tokenizer_file import read_text, read_tokenizer
from lightning_tying.vocab.training.request import (
    ParityOptions,
    Progress,
    Texts,
    TrainingRequest,
    ignore_progress,
)
from lightning_tying.vocab.training.strategies import default_pretokenizer, train_tokenizer
from lightning_tying.whole_files import write_together

_CACHED_WORDS = 200_000


@final
class SharedVocabulary:
    """A BPE or Unigram model with a tag for each language. Make one by `train`, `from_json` or `load`.

    Every text can be encoded, since all 256 bytes are pieces; no text gives an unknown token. What looks like a special
    token in a text (`<de>`, `<eos>`) is text. Ids: `<pad>` is 0, `<eos>` 1, then (after `<unk>` in a Unigram model) the
    language tags, bytes, learned pieces.

    Where methods take a `language`, it changes nothing, as one tokenizer serves all; a `UnitedVocabulary` needs it.

    Args:
        tokenizer: the tokenizer, which this object keeps.
        asked: the number of rows that was asked for, where the training found fewer pieces.
    """

    def __init__(self, tokenizer: Tokenizer, asked: int | None = None) -> None:
        tokenizer.encode_special_tokens = True  # a text that says "<eos>" must not end there; the JSON does not keep it
        self._tokenizer = tokenizer
        if hasattr(tokenizer.model, "_resize_cache"):  # the words of a corpus, not 10,000: lines cost a sixth less
            tokenizer.model._resize_cache(_CACHED_WORDS)
        self._text = tokenizer.to_str()
        added = {token.content: id for id, token in sorted(tokenizer.get_added_tokens_decoder().items())}
        self.pad_id: int = added.pop(PAD)
        self.eos_id: int = added.pop(EOS)
        added.pop(UNKNOWN, None)
        self.language_ids: dict[str, int] = {tag[1:-1]: id for tag, id in added.items()}
        # the largest id decides, not the number of entries: ids may have holes
        self.size: int = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.asked: int = self.size if asked is None else asked

    @classmethod
    def train(
        cls,
        texts: Texts,
        size: int = 8000,
        sampling: Sampling | None = None,
        strategy: str = "joint",
        *,
        pretokenizer: str | None = None,
        dev: Texts | None = None,
        parity: ParityOptions | None = None,
        clusters: int | None = None,
        progress: Progress = ignore_progress,
    ) -> SharedVocabulary:
        """Learn a vocabulary; the same texts give the same bytes, in every process.

        A small corpus may have fewer pieces than `size`; then the result's `size` is smaller than its `asked`.

        Args:
            texts: the texts of each language, `{"de": [...], "fr": [...]}`; the order decides the tags' ids.
            size: rows in all: special tokens, 256 bytes and learned pieces.
            sampling: the share of each language in what is learned from; default `Sampling(0.3)`.
            strategy: how to learn: "joint" is one BPE over all languages together; "parity" a BPE in which they pay
                alike; "unigram" a Unigram model; "clustered" the union of a BPE for each group of languages alike.
            pretokenizer: how texts are cut: "multilingual" (the default), "scripts" (besides, where the script
                changes), "gpt2", "metaspace" (as SentencePiece; the only one for "unigram").
            dev: "parity": texts that say the same in every language, line by line.
            parity: options of "parity".
            clusters: "clustered": how many groups; default one for four languages.
            progress: told what is being done.

        Raises:
            ConfigError: no texts, too small a size, an unknown strategy or pre-tokenizer, no dev texts for "parity".
        """
        request = TrainingRequest(
            texts,
            size,
            sampling or Sampling(),
            pretokenizer or default_pretokenizer(strategy),
            dev,
            parity or ParityOptions(),
            clusters,
            progress,
        )
        return cls(train_tokenizer(request, strategy).tokenizer, asked=size)

    def encode(self, text: str, language: str | None = None) -> list[int]:
        """The ids of a text, after the tag of its language where one is given.

        Raises:
            ConfigError: the vocabulary has no tag for the language.
        """
        tag = [] if language is None else [self.tag_id(language)]
        return [*tag, *self.encode_many([text])[0]]

    def encode_many(self, texts: Iterable[str], language: str | None = None) -> list[list[int]]:  # noqa: ARG002
        """The ids of each text, without tags; faster than one by one."""
        given = list(texts)
        try:
            found = self._tokenizer.encode_batch_fast(given, add_special_tokens=False)
        except TypeError:  # lone surrogates, which are rare; looking for them in every text would cost some percent
            found = self._tokenizer.encode_batch_fast(list(map(make_whole, given)), add_special_tokens=False)
        return [encoding.ids for encoding in found]

    def decode(self, ids: Sequence[int], language: str | None = None) -> str:  # noqa: ARG002
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

    def byte_counts(self, language: str | None = None) -> list[int]:  # noqa: ARG002
        """For each id the bytes of text that it stands for; `<eos>` counts as a line break, other special tokens 0."""
        return list(self._byte_counts)

    @cached_property
    def _byte_counts(self) -> tuple[int, ...]:
        """Counted once: data ask for them language by language."""
        pieces = canonical_pieces(self._tokenizer)
        counts = [0 if piece is None or piece.special else len(piece.content) + piece.word_start for piece in pieces]
        counts[self.eos_id] = 1
        return tuple(counts)

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
        write_together({Path(path): self._text.encode()})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SharedVocabulary:
        """Read a `tokenizer.json`.

        Raises:
            ConfigError: there is no such file, or it is no vocabulary.
        """
        return cls.from_json(read_text(path), where=os.fspath(path))

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
