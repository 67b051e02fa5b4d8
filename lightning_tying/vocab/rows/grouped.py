"""Dictionary words: pieces and groups of words go in, keys come out under which the words of a group share a row."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries.dictionary import Dictionary, check_dictionary
from lightning_tying.vocab.rows.keys import Key, Keys, Pieces, surface_keys

# scripts that write no blanks between words, by the first word of their characters' names
_NO_BLANKS = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
Index = dict[tuple[bytes, bool], int]


def dictionary_keys(pieces: Mapping[str, Pieces], dictionary: Dictionary, *, synonyms: bool) -> dict[str, Keys]:
    """Keys by surface, and one for the words of each group that one piece holds (policy `dictionary`).

    A word of the dictionary follows the dictionary alone: English `gift` leaves the row of German `Gift`, if both
    are in groups. Pieces that start a word and those that do not are kept apart, as their texts differ by a blank;
    in scripts without blanks the piece without one takes the place of the other.

    Args:
        pieces: by the member's name, which is a language of the dictionary.
        dictionary: groups of words.
        synonyms: whether several words of one language share a row too; else the first that is a piece does.

    Raises:
        ConfigError: a word is in two groups, or no member is a language of the dictionary.
    """
    check_dictionary(dictionary)
    known = {language for group in dictionary for language in group}
    if not known & pieces.keys():
        raise ConfigError(
            f"The dictionary has words in {', '.join(sorted(known)) or 'no language'}, and the members are "
            f"{', '.join(pieces)}. Name the members by their languages."
        )
    keys = {member: surface_keys(own) for member, own in pieces.items()}
    indexes = {member: _index(own) for member, own in pieces.items()}
    for number, group in enumerate(dictionary):
        found = [
            (member, id, start)
            for member, words in group.items()
            if member in indexes
            for id, start in _find_pieces(indexes[member], words, synonyms=synonyms)
        ]
        for member, id, start in found:
            key: Key = ("group", number, start)
            if len({other for other, _, same in found if same == start}) > 1 or synonyms:
                keys[member][id] = key
    return keys


def _index(pieces: Pieces) -> Index:
    return {
        (piece.content, piece.word_start): id
        for id, piece in enumerate(pieces)
        if piece is not None and not piece.special and piece.spelling != "byte"
    }


def _find_pieces(index: Index, words: tuple[str, ...], *, synonyms: bool) -> list[tuple[int, bool]]:
    """The ids of the words that one piece holds, and whether each is the one that starts a word."""
    found: list[tuple[int, bool]] = []
    for word in words:
        content = unicodedata.normalize("NFC", word).encode()
        start, inside = index.get((content, True)), index.get((content, False))
        if start is not None:
            found.append((start, True))
        if inside is not None and (start is not None or _writes_no_blanks(word)):
            found.append((inside, start is None))
        if found and not synonyms:
            break
    return found


def _writes_no_blanks(word: str) -> bool:
    return unicodedata.name(word[0], "").startswith(_NO_BLANKS)
