"""Keys, values and states of the tokens so far in, those of one more step out: what decoding need not compute again.

Caches are for inference: they are written in place, so no gradient flows through them.
"""

from typing import Protocol, final

from torch import Tensor

FIRST_CAPACITY = 32


class DecodingCache(Protocol):
    """What a network's `new_cache()` gives and its forward takes as `cache`."""

    @property
    def length(self) -> int:
        """How many tokens it has seen."""
        ...

    def reorder(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order (int64 [B′]): what a beam search does after each step."""
        ...


@final
class KeyValues:
    """Keys and values [B, heads, length, channels] of one attention.

    The room doubles when it is full, so appending costs the same for the first and for the thousandth token.
    """

    def __init__(self) -> None:
        self.length = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Add the keys and values of new tokens, and return those of all tokens."""
        start, self.length = self.length, self.length + keys.shape[2]
        self._keys = _with_room(self._keys, keys, start, self.length)
        self._values = _with_room(self._values, values, start, self.length)
        self._keys[:, :, start : self.length] = keys
        self._values[:, :, start : self.length] = values
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def read(self) -> tuple[Tensor, Tensor] | None:
        """Keys and values of all tokens, or None where there are none yet."""
        if self._keys is None or self._values is None:
            return None
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

    def reorder(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys.index_select(0, rows), self._values.index_select(0, rows)


@final
class KeyValueCache:
    """The keys and values of a decoder: of its own tokens, and of the encoder's memory where it has one.

    Args:
        depth: Number of layers.
    """

    def __init__(self, depth: int) -> None:
        self.tokens = tuple(KeyValues() for _ in range(depth))
        self.memory = tuple(KeyValues() for _ in range(depth))

    @property
    def length(self) -> int:
        """How many tokens it has seen."""
        return self.tokens[0].length

    def reorder(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        for entry in (*self.tokens, *self.memory):
            entry.reorder(rows)


@final
class RecurrentCache:
    """The state of a recurrent network after the tokens so far: h, and for an LSTM c, each [depth, B, dim]."""

    def __init__(self) -> None:
        self.length = 0
        self.state: tuple[Tensor, ...] = ()

    def advance(self, state: tuple[Tensor, ...], tokens: int) -> None:
        """Replace the state by the one after `tokens` more tokens."""
        self.state = state
        self.length += tokens

    def reorder(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        self.state = tuple(part.index_select(1, rows) for part in self.state)


def _with_room(store: Tensor | None, new: Tensor, start: int, end: int) -> Tensor:
    if store is not None and end <= store.shape[2]:
        return store
    batch, heads, _, channels = new.shape
    larger = new.new_empty(batch, heads, max(end, 2 * start, FIRST_CAPACITY), channels)
    if store is not None:
        larger[:, :, :start] = store[:, :, :start]
    return larger
