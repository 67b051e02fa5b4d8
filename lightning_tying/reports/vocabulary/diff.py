"""Two vocabularies and texts in; pieces that only one has, ids that moved, tokens and texts that change, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_tying.vocab.measures.compression import normalized_length
from lightning_tying.vocab.measures.encoding import Encode, count_tokens, remember
from lightning_tying.vocab.measures.subject import Subject

MOST_EXAMPLES = 3  # of each language
LONGEST = 80  # letters of an example


@dataclass(frozen=True)
class Example:
    """A text that the two vocabularies cut differently.

    Args:
        language: its language.
        first: its pieces in the first vocabulary.
        second: its pieces in the second.
    """

    language: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True)
class LanguageDiff:
    """One language under both vocabularies.

    Args:
        language: its code.
        texts: how many.
        tokens: in the first and in the second vocabulary.
        ratio: NSL, the second's tokens over the first's; None where there is no token.
        changed: how many texts are cut differently.
    """

    language: str
    texts: int
    tokens: tuple[int, int]
    ratio: float | None
    changed: int


@dataclass(frozen=True)
class VocabularyDiff:
    """What differs between two vocabularies.

    Args:
        names: of the two.
        rows: of the two.
        both: how many pieces both have.
        only_first: the text of pieces that only the first has.
        only_second: the same of the second.
        moved: piece, its id in the first, its id in the second; pieces of both whose ids differ.
        languages: the most changed first.
        examples: texts that are cut differently.
    """

    names: tuple[str, str]
    rows: tuple[int, int]
    both: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    moved: tuple[tuple[str, int, int], ...]
    languages: tuple[LanguageDiff, ...]
    examples: tuple[Example, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data: numbers, texts, lists and mappings."""
        return asdict(self)


@dataclass(frozen=True)
class Side:
    """One of the two vocabularies.

    Args:
        subject: how it encodes.
        spelled: id → the bytes of its text.
    """

    subject: Subject
    spelled: Mapping[int, bytes]

    def cut(self, ids: Sequence[int]) -> list[bytes]:
        """The pieces of a text, without blanks: not every kind of vocabulary keeps them."""
        pieces = (self.spelled.get(id, b"").strip(b" ") for id in ids)
        return [piece for piece in pieces if piece]


def compare(first: Side, second: Side, texts: Mapping[str, Sequence[str]]) -> VocabularyDiff:
    """What changes from the first vocabulary to the second.

    Args:
        first: the old one, say.
        second: the new one.
        texts: of each language; may be empty.
    """
    mine, theirs = (_index(side.spelled) for side in (first, second))
    both = mine.keys() & theirs.keys()
    moved = sorted((mine[piece], theirs[piece], piece) for piece in both if mine[piece] != theirs[piece])
    encoders = remember(first.subject.encode), remember(second.subject.encode)
    languages: list[LanguageDiff] = []
    examples: list[Example] = []
    for language, each in texts.items():
        found, changed = _compare_texts(first, second, encoders, language, each)
        languages.append(found)
        examples += changed
    return VocabularyDiff(
        names=(first.subject.name, second.subject.name),
        rows=(first.subject.size, second.subject.size),
        both=len(both),
        only_first=tuple(show(piece) for piece in sorted(mine.keys() - both, key=mine.__getitem__)),
        only_second=tuple(show(piece) for piece in sorted(theirs.keys() - both, key=theirs.__getitem__)),
        moved=tuple((show(piece), old, new) for old, new, piece in moved),
        languages=tuple(sorted(languages, key=lambda each: -each.changed / max(1, each.texts))),
        examples=tuple(examples),
    )


def show(piece: bytes) -> str:
    """The text of a piece on one line; bytes that are no text in hexadecimal.

    Args:
        piece: its bytes.
    """
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in piece)
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def _index(spelled: Mapping[int, bytes]) -> dict[bytes, int]:
    """Text → the smallest id that says it."""
    return {text: id for id, text in sorted(spelled.items(), reverse=True)}


def _compare_texts(
    first: Side, second: Side, encoders: tuple[Encode, Encode], language: str, texts: Sequence[str]
) -> tuple[LanguageDiff, list[Example]]:
    pairs = zip(encoders[0](texts, language), encoders[1](texts, language), strict=True)
    cuts = [(first.cut(old), second.cut(new)) for old, new in pairs]
    changed = [cut for cut in cuts if cut[0] != cut[1]]
    short = [cut for cut in changed if len(b"".join(cut[0])) <= LONGEST] or changed
    tokens = count_tokens(encoders[0], texts, language), count_tokens(encoders[1], texts, language)
    ratio = normalized_length(encoders[1], encoders[0], texts, language)
    examples = [Example(language, *(tuple(map(show, each)) for each in cut)) for cut in short[:MOST_EXAMPLES]]
    return LanguageDiff(language, len(texts), tokens, ratio, len(changed)), examples
