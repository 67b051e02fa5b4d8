"""How well does a general compressor do on the same text? Bits per byte of `lzma`, alone and primed."""

from __future__ import annotations

import lzma
from collections.abc import Sequence

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]


def _size(data: bytes) -> int:
    """Compressed bytes without a container's header, which would weigh on a short text."""
    return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=_FILTERS))


def lzma_bits_per_byte(train: Sequence[str], test: Sequence[str]) -> tuple[float, float]:
    """What `lzma` needs for the test messages.

    Args:
        train: the messages that the model was trained on; they prime the second figure.
        test: the messages to be compressed, a line break after each.

    Returns:
        Bits per byte of the test text alone, and of the test text after the training text.
    """
    before = "".join(f"{text}\n" for text in train).encode()
    data = "".join(f"{text}\n" for text in test).encode()
    alone = 8 * _size(data) / len(data)
    primed = 8 * (_size(before + data) - _size(before)) / len(data)
    return alone, primed
