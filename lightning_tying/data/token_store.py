"""TokenStore: a corpus and a vocabulary go in, one memory-mapped file with all tokens comes out.

The file: 8 bytes of magic, 8 bytes with the header's length, the header as JSON (sections, sizes, checksum), then the
messages' offsets (int64) and all tokens (int32). Each message ends with `<eos>`; the messages of one language in one
split lie together.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from lightning_tying.data.cache import cache_key, write_whole
from lightning_tying.data.corpus import SPLITS, Corpus, Split
from lightning_tying.data.encode import encode_texts
from lightning_tying.vocab.vocabulary import Vocabulary

_MAGIC = b"LTTOKENS"
_FORMAT = 1
_OFFSET = np.dtype("<i8")
_TOKEN = np.dtype("<i4")


@final
@dataclass(frozen=True)
class TokenStore:
    """The tokens of a corpus, mapped into memory and read only.

    Args:
        sections: split → language → (first message, one past the last).
        offsets: int64 [messages + 1], where each message begins in `tokens`.
        tokens: int32 [all tokens].
    """

    sections: dict[Split, dict[str, tuple[int, int]]]
    offsets: NDArray[np.int64]
    tokens: NDArray[np.int32]

    def messages(self, split: Split, language: str) -> tuple[int, int]:
        """The messages of a language in a split: the first, and one past the last."""
        return self.sections[split][language]

    def span(self, split: Split, language: str) -> tuple[int, int]:
        """The tokens of a language in a split: the first, and one past the last."""
        first, stop = self.sections[split][language]
        return int(self.offsets[first]), int(self.offsets[stop])


def make_token_store(corpus: Corpus, vocabulary: Vocabulary, folder: Path) -> TokenStore:
    """The store of a corpus under a vocabulary: from the cache where a whole file lies there, else encoded and written.

    Args:
        corpus: the texts.
        vocabulary: what encodes them.
        folder: the cache.

    Raises:
        ConfigError: the cache cannot be written.
    """
    path = folder / "tokens" / f"{cache_key(_FORMAT, corpus.digest, vocabulary.digest)}.bin"
    store = _open_store(path)
    if store is None:
        write_whole(path, _encode(corpus, vocabulary))
        store = _open_store(path)
    if store is None:
        raise OSError(f"{path} changed while it was written")
    return store


def _encode(corpus: Corpus, vocabulary: Vocabulary) -> Iterator[bytes]:
    sections: dict[str, dict[str, tuple[int, int]]] = {}
    lengths: list[NDArray[np.int64]] = []
    tokens: list[NDArray[np.int32]] = []
    number = 0
    for split in SPLITS:
        sections[split] = {}
        for language, texts in corpus.texts(split).items():
            for ends, ids in encode_texts(texts, vocabulary, language):
                lengths.append(ends)
                tokens.append(ids)
            sections[split][language] = (number, number + len(texts))
            number += len(texts)
    offsets = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    flat = np.concatenate([np.zeros(0, np.int32), *tokens])
    body = [offsets.astype(_OFFSET).tobytes(), flat.astype(_TOKEN).tobytes()]
    sizes = {"messages": number, "tokens": int(offsets[-1])}
    header = json.dumps({"sections": sections, **sizes, "checksum": _checksum(body)}).encode()
    header += b" " * (-len(header) % 8)  # so that the arrays behind it lie on whole words
    yield from (_MAGIC, len(header).to_bytes(8, "little"), header, *body)


def _checksum(parts: Sequence[bytes | memoryview]) -> int:
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def _open_store(path: Path) -> TokenStore | None:
    """The store in a file; None where there is no file, or not a whole one."""
    try:
        data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        header, start = _read_header(data)
        middle = start + (header["messages"] + 1) * _OFFSET.itemsize
        stop = middle + header["tokens"] * _TOKEN.itemsize
        if stop != len(data) or _checksum([data[start:].data]) != header["checksum"]:
            return None
        offsets = data[start:middle].view(_OFFSET)
        tokens = data[middle:stop].view(_TOKEN)
        sections = _read_sections(header)
    except (OSError, ValueError, KeyError, TypeError):  # absent, empty, cut off or overwritten: encoded again
        return None
    return TokenStore(sections, offsets, tokens)


def _read_header(data: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    if data[:8].tobytes() != _MAGIC:
        raise ValueError(os.fspath("magic"))
    length = int.from_bytes(data[8:16].tobytes(), "little")
    return json.loads(data[16 : 16 + length].tobytes()), 16 + length


def _read_sections(header: dict[str, Any]) -> dict[Split, dict[str, tuple[int, int]]]:
    sections = cast("dict[Split, dict[str, list[int]]]", header["sections"])
    return {
        split: {language: (first, stop) for language, (first, stop) in languages.items()}
        for split, languages in sections.items()
    }
