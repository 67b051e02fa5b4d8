"""Vectors of whole numbers as safetensors: arrays go in, the file's bytes come out, and the other way round.

The format is eight bytes, little-endian, with the length of a JSON header, the header, and the data. Only this much of
it is needed here, and no package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

_METADATA = "__metadata__"


def write_vectors(vectors: Mapping[str, NDArray[np.int32]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file with one int32 vector for each name."""
    header: dict[str, object] = {_METADATA: dict(metadata)}
    start = 0
    for name, vector in vectors.items():
        header[name] = {"dtype": "I32", "shape": [len(vector)], "data_offsets": [start, start + 4 * len(vector)]}
        start += 4 * len(vector)
    written = json.dumps(header, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)  # the data start at a multiple of eight
    return b"".join(
        [len(written).to_bytes(8, "little"), written, *(v.astype("<i4").tobytes() for v in vectors.values())]
    )


def read_vectors(content: bytes) -> tuple[dict[str, NDArray[np.int32]], dict[str, str]]:
    """The int32 vectors of a safetensors file, and its metadata.

    Raises:
        ValueError: what is wrong, as the end of a sentence.
    """
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > len(content) - 8:
        raise ValueError("it is no safetensors file, or was cut off")
    try:
        header: Any = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        raise ValueError("its header is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a mapping")
    entries = cast("dict[str, Any]", header)
    metadata: Any = entries.pop(_METADATA, {})
    if not isinstance(metadata, dict):
        raise ValueError("its metadata are not a mapping")
    data = memoryview(content)[8 + length :]
    vectors = {name: _read_vector(name, entry, data) for name, entry in entries.items()}
    return vectors, {str(key): str(value) for key, value in cast("dict[Any, Any]", metadata).items()}


def _read_vector(name: str, entry: Any, data: memoryview) -> NDArray[np.int32]:
    try:
        (count,), (start, stop), dtype = entry["shape"], entry["data_offsets"], entry["dtype"]
        fits = isinstance(count, int) and 0 <= start <= stop <= len(data) and stop - start == 4 * count
    except (TypeError, ValueError, KeyError):
        raise ValueError(f"its tensor `{name}` is not a vector") from None
    if dtype != "I32":
        raise ValueError(f"its tensor `{name}` is {dtype}, not I32")
    if not fits:
        raise ValueError(f"the offsets of its tensor `{name}` do not fit its shape or the file")
    return np.frombuffer(data[start:stop], "<i4").astype(np.int32)
