"""What `vocab extend` and `vocab trim` share: words go in, a vocabulary and texts by language come out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lightning_tying.commands.vocabulary.texts import OPTIONS, take_texts
from lightning_tying.errors import ConfigError
from lightning_tying.vocab.shared_vocabulary import SharedVocabulary
from lightning_tying.vocab.vocabulary import load_vocabulary

Texts = Mapping[str, Sequence[str]]
TEXT_OPTIONS = "\n".join(
    [
        *(line for line in OPTIONS.splitlines() if "--split" not in line),
        "  --split SPLIT      only these messages: train, val or test; default all",
    ]
)


def read_all_texts(words: list[str], command: str) -> tuple[Path, Callable[[], Texts]]:
    """The vocabulary's path, and what reads the texts once all words are known to be right.

    Raises:
        ConfigError: an option is wrong, or something else is among the words.
    """
    said = any(word == "--split" or word.startswith("--split=") for word in words)
    rest, read = take_texts(words if said else [*words, "--split", "all"])
    if not rest or rest[0].startswith("-"):
        raise ConfigError(f"{command} wants a vocabulary first: lightning-tying vocab {command} tokenizer.json …")
    if len(rest) > 1:
        raise ConfigError(f"{command} does not know {rest[1]}. See `vocab {command} --help`.")
    return Path(rest[0]), lambda: {language: lines for language, lines in read().held_out.items() if lines}


def one_vocabulary(path: Path, command: str) -> SharedVocabulary:
    """Read a vocabulary that is one tokenizer.

    Raises:
        ConfigError: there is none, or it has members.
    """
    inside = path / "tokenizer.json"
    vocabulary = load_vocabulary(inside if inside.is_file() else path)
    if not isinstance(vocabulary, SharedVocabulary):
        raise ConfigError(
            f"{path} has several member vocabularies; {command} one of them, and unite them again "
            "(`lightning-tying vocab unite`)."
        )
    return vocabulary


def count_changed(before: SharedVocabulary, after: SharedVocabulary, lines: Sequence[str]) -> tuple[int, int, int]:
    """Tokens before, tokens after, and how many texts are cut otherwise, by the pieces' texts."""
    old, new = before.encode_many(lines), after.encode_many(lines)
    changed = sum(len(one) != len(other) for one, other in zip(old, new, strict=True))
    return sum(map(len, old)), sum(map(len, new)), changed
