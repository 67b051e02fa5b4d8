"""RowSource: row numbers go in, a batch of tensors comes out; with the gather that all sources of text share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_tying.data.token_store import TokenStore

Batch: TypeAlias = dict[str, Tensor | list[str]]


class RowSource(Protocol):
    """What a loader reads from."""

    @property
    def groups(self) -> Sequence[tuple[int, int]]:
        """The rows of each group (a language, a class), first and one past the last."""
        ...

    def __len__(self) -> int: ...

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """The batch of these rows."""
        ...


@final
class TensorRows:
    """Rows of two tensors, for data that fits into memory.

    Args:
        inputs: [rows, ...].
        labels: int64 [rows].
    """

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self._inputs, self._labels = inputs, labels
        self.groups: list[tuple[int, int]] = [(0, len(inputs))]

    def __len__(self) -> int:
        return len(self._inputs)

    def batch(self, rows: NDArray[np.int64]) -> Batch:
        """`{"input": [B, ...], "label": int64 [B]}`."""
        index = torch.as_tensor(rows)
        return {"input": self._inputs[index], "label": self._labels[index]}


def gather(
    tokens: NDArray[np.int32], starts: NDArray[np.int64], lengths: NDArray[np.int64], width: int, pad_id: int
) -> NDArray[np.int64]:
    """Rows of tokens, int64 [B, width], padded on the right.

    Args:
        tokens: all tokens, flat.
        starts: int64 [B], where each row begins.
        lengths: int64 [B], how many tokens each row has, at most `width`.
        width: the length of the rows.
        pad_id: what fills the rest.
    """
    steps = np.arange(width)
    inside = steps < lengths[:, None]
    places = np.where(inside, starts[:, None] + steps, 0)
    return np.where(inside, tokens[places], pad_id).astype(np.int64)


def gather_messages(
    store: TokenStore, messages: NDArray[np.int64], length: int, pad_id: int, eos_id: int
) -> NDArray[np.int64]:
    """Whole messages, int64 [B, tokens of the longest], padded on the right.

    Args:
        store: the tokens.
        messages: their numbers, int64 [at least 1].
        length: the most tokens of a message; a longer one is cut, and ends with `eos_id` like any other.
        pad_id: what fills the rest.
        eos_id: what a message that is cut ends with.
    """
    starts = store.offsets[messages]
    whole = store.offsets[messages + 1] - starts
    lengths = np.minimum(whole, length)
    tokens = gather(store.tokens, starts, lengths, int(lengths.max()), pad_id)
    tokens[whole > length, length - 1 :] = eos_id
    return tokens


def group_bounds(counts: Sequence[int]) -> list[tuple[int, int]]:
    """The first row and one past the last of groups that lie one after the other.

    Args:
        counts: rows of each group.
    """
    ends = np.cumsum(counts, dtype=np.int64).tolist()
    return [(end - count, end) for end, count in zip(ends, counts, strict=True)]
