"""RowMap: for each member vocabulary the row of every id goes in; checked, it says who reads which row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.rows.specials import check_specials

HOLE = -1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # a name is a tensor, a file, and what follows `#` in a spec


@final
@dataclass(frozen=True, eq=False)
class RowMap:
    """Which row of one table each id of several vocabularies reads.

    Args:
        members: by the member's name, int32 [ids], local id → row; -1 where the vocabulary has no such id.
        n_rows: rows of the table.
        digests: by the member's name, the SHA-256 of its `tokenizer.json`.
        policy: how it was decided who shares.
        specials: by the member's name, the id of each special token; those of one name must read one row.

    Raises:
        ConfigError: see `check`.
    """

    members: Mapping[str, NDArray[np.int32]]
    n_rows: int
    digests: Mapping[str, str] = field(repr=False)
    policy: str = "surface"
    specials: Mapping[str, Mapping[str, int]] = field(default_factory=dict[str, Mapping[str, int]], repr=False)

    def __post_init__(self) -> None:
        frozen = {name: _freeze(name, rows) for name, rows in self.members.items()}
        object.__setattr__(self, "members", frozen)
        self.check()

    def rows_of(self, member: str) -> NDArray[np.int32]:
        """The row of each id of a member, int32 [ids]; -1 at holes.

        Raises:
            ConfigError: there is no such member.
        """
        if member not in self.members:
            raise ConfigError(f"The row map has no member {member!r}; it has: {', '.join(self.members)}.")
        return self.members[member]

    @property
    def n_ids(self) -> int:
        """The ids of all members together, holes left out: the rows that separate tables would have."""
        return sum(int((rows != HOLE).sum()) for rows in self.members.values())

    @property
    def saved(self) -> int:
        """How many rows are saved against a table for each member."""
        return self.n_ids - self.n_rows

    @property
    def saved_share(self) -> float:
        """The rows saved, as a share of the rows of separate tables."""
        return self.saved / self.n_ids

    def log_multiplicity(self, member: str) -> NDArray[np.float64]:
        """For each id the logarithm of how many ids of this member read the same row, float64 [ids]; 0 at holes.

        Logits of a row that two ids read count twice in a softmax over ids; subtract this, and they sum to 1.

        Raises:
            ConfigError: there is no such member.
        """
        rows = self.rows_of(member)
        real = rows != HOLE
        counts = np.bincount(rows[real], minlength=self.n_rows)
        result = np.zeros(len(rows), np.float64)
        result[real] = np.log(counts[rows[real]])
        return result

    def ids_of(self, member: str) -> NDArray[np.int32]:
        """The inverse, int32 [rows]: the smallest id of a member that reads each row; -1 where none does.

        Raises:
            ConfigError: there is no such member.
        """
        rows = self.rows_of(member)
        ids = np.full(self.n_rows, HOLE, np.int32)
        real = np.flatnonzero(rows != HOLE)[::-1]  # the smallest is written last
        ids[rows[real]] = real
        return ids

    def readers(self) -> NDArray[np.int64]:
        """How many members read each row, int64 [rows]."""
        counts = np.zeros(self.n_rows, np.int64)
        for rows in self.members.values():
            counts[np.unique(rows[rows != HOLE])] += 1
        return counts

    def shared_with(self, member: str, other: str) -> int:
        """How many rows two members both read.

        Raises:
            ConfigError: there is no such member.
        """
        return int(((self.ids_of(member) != HOLE) & (self.ids_of(other) != HOLE)).sum())

    def check(self) -> None:
        """Refuse what is no row map.

        Raises:
            ConfigError: no members, a name that is no word, a row out of range, a row that nobody reads, a member
                without ids or whose last id is a hole (its size must be its largest id + 1), digests of others,
                special tokens of one name on two rows, or one that reads a row with something else.
        """
        if not self.members:
            raise ConfigError("A row map needs at least one member vocabulary.")
        for name, rows in self.members.items():
            _check_member(name, rows, self.n_rows)
        unread = np.flatnonzero(self.readers() == 0)
        if len(unread):
            raise ConfigError(
                f"The row map has {self.n_rows} rows, and no member reads {len(unread)} of them (first: {unread[0]})."
            )
        if set(self.digests) != set(self.members):
            raise ConfigError(
                f"The row map has digests for {', '.join(sorted(self.digests)) or 'no member'}, and its members are "
                f"{', '.join(sorted(self.members))}."
            )
        check_specials(self.members, self.specials)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RowMap):
            return NotImplemented
        mine = (self.n_rows, self.policy, self.digests, list(self.members), self.specials)
        theirs = (other.n_rows, other.policy, other.digests, list(other.members), other.specials)
        return mine == theirs and all(np.array_equal(rows, other.members[name]) for name, rows in self.members.items())

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # arrays have no hash


def check_name(name: str) -> None:
    """Refuse a member's name that cannot be a tensor, a file and a word of a spec at once.

    Raises:
        ConfigError: it is not made of letters, digits, `_`, `-` and `.`.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot name a member vocabulary; use letters, digits, `_`, `-` and `.`, such as `de` or `pt-BR`."
        )


def _freeze(name: str, rows: NDArray[np.int32]) -> NDArray[np.int32]:
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ConfigError(f"The rows of {name!r} must be a vector of whole numbers, not {array.dtype} {array.shape}.")
    if len(array) and (int(array.max()) > np.iinfo(np.int32).max or int(array.min()) < HOLE):
        raise ConfigError(
            f"The rows of {name!r} go from {array.min()} to {array.max()}; they are rows, or -1 at holes."
        )
    array = array.astype(np.int32)  # always a copy
    array.flags.writeable = False
    return array


def _check_member(name: str, rows: NDArray[np.int32], n_rows: int) -> None:
    check_name(name)
    if not len(rows) or rows[-1] == HOLE:
        what = "has no ids" if not len(rows) else f"has {len(rows)} ids, and the last one is a hole"
        raise ConfigError(f"The member {name!r} {what}; its size is its largest id + 1.")
    outside = np.flatnonzero(rows >= n_rows)
    if len(outside):
        id = int(outside[0])
        raise ConfigError(f"The member {name!r} reads row {rows[id]} for its id {id}, and there are {n_rows} rows.")
