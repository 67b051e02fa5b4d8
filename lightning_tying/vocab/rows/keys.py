"""Keys of rows: the pieces of vocabularies go in, a key for each id comes out; ids with equal keys share a row."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from lightning_tying.vocab.canonical import CanonicalPiece
from lightning_tying.vocab.rows.specials import name_specials

Key = tuple[Hashable, ...]
Pieces = Sequence[CanonicalPiece | None]
Keys = list[Key | None]
_FIRST: Mapping[Key, int] = {("special", "<pad>"): 0, ("special", "<eos>"): 1}


def special_keys(pieces: Pieces) -> dict[int, Key]:
    """The keys of the special tokens by id: those of one name meet under every policy."""
    found = {piece.content.decode(): id for id, piece in enumerate(pieces) if piece is not None and piece.special}
    return {id: ("special", name) for name, id in name_specials(found).items()}


def own_keys(member: str, pieces: Pieces) -> Keys:
    """A key of its own for each id, special tokens excepted (policy `none`)."""
    special = special_keys(pieces)
    return [None if piece is None else special.get(id, ("own", member, id)) for id, piece in enumerate(pieces)]


def surface_keys(pieces: Pieces) -> Keys:
    """The canonical form of each id (policy `surface`).

    No two ids of one vocabulary get one key: `<0x41>` beside `A` stands for the same text, and a softmax over ids
    would have to part what they share. `A` gets it, and `<0x41>` a key of its own.
    """
    keys: Keys = [None] * len(pieces)
    taken: set[Key] = set()
    special = special_keys(pieces)
    for id in sorted(range(len(pieces)), key=lambda id: _is_byte(pieces[id])):
        piece = pieces[id]
        if piece is None:
            continue
        key = special.get(id) or ("text", piece.content, piece.word_start)
        if key in taken:
            key = ("raw", piece.content, piece.word_start, piece.spelling)
        taken.add(key)
        keys[id] = key
    return keys


def number_rows(keys: Mapping[str, Keys]) -> tuple[dict[str, list[int]], int]:
    """Number the keys: special tokens first, `<pad>` 0 and `<eos>` 1 where there are any, then by rank.

    By rank: what has a low id in any vocabulary gets a low row, so that the rows of byte-level BPE follow the order
    in which its merges are learned.

    Args:
        keys: by the member's name.

    Returns:
        By the member's name the row of each id (-1 at holes), and the number of rows.
    """
    numbers: dict[Key, int] = {}
    specials = [key for own in keys.values() for key in own if key is not None and key[0] == "special"]
    for key in sorted(specials, key=lambda key: _FIRST.get(key, len(_FIRST))):  # stable: else the given order
        numbers.setdefault(key, len(numbers))
    for id in range(max(map(len, keys.values()))):
        for own in keys.values():
            if id < len(own) and (key := own[id]) is not None:
                numbers.setdefault(key, len(numbers))
    rows = {name: [-1 if key is None else numbers[key] for key in own] for name, own in keys.items()}
    return rows, len(numbers)


def _is_byte(piece: CanonicalPiece | None) -> bool:
    return piece is not None and piece.spelling == "byte"
