"""The keys of a config of `vocab train`: a key and what was written go in, its value or a mistake comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

from lightning_tying.data.languages import is_language_code, to_bcp47
from lightning_tying.errors import Problem
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree, kind_of
from lightning_tying.vocab.pretokenizer import PRESETS
from lightning_tying.vocab.rows import POLICIES as ROW_POLICIES
from lightning_tying.vocab.sampling import POLICIES
from lightning_tying.vocab.training.members import KINDS
from lightning_tying.vocab.training.request import VARIANTS
from lightning_tying.vocab.training.strategies import STRATEGIES

PER_LANGUAGE = "per_language"
SOURCES = ("package", "catalogs", "texts", "pairs")

Find = Callable[[str], None]
Reader = Callable[[Tree, Find], Any]


@final
@dataclass(frozen=True)
class Key:
    """One key of a config.

    Args:
        read: makes its value of what was written, and tells what is wrong with that.
        default: its value where nothing is written.
    """

    read: Reader
    default: Any = None


def read_value(name: str, tree: Tree, problems: list[Problem]) -> Any:
    """The value of a key; None where it is null or wrong.

    Args:
        name: a key of `KEYS`.
        tree: what was written.
        problems: mistakes are appended.
    """
    if isinstance(tree, Leaf) and tree.value is None:
        return None
    return KEYS[name].read(tree, lambda text: problems.append(Problem("config", tree.location, f"`{name}` {text}")))


def _text(tree: Tree, find: Find) -> str | None:
    if isinstance(tree, Leaf) and isinstance(tree.value, str) and tree.value:
        return tree.value
    find(f"is a text, and this is {kind_of(tree)}.")
    return None


def _integer(tree: Tree, find: Find) -> int | None:
    if isinstance(tree, Leaf) and isinstance(tree.value, int) and not isinstance(tree.value, bool):
        return tree.value
    find(f"is a whole number, and this is {tree.written if isinstance(tree, Leaf) else kind_of(tree)}.")
    return None


def _number(tree: Tree, find: Find) -> float | None:
    if isinstance(tree, Leaf) and isinstance(tree.value, int | float) and not isinstance(tree.value, bool):
        return float(tree.value)
    find(f"is a number, and this is {kind_of(tree)}.")
    return None


def _flag(tree: Tree, find: Find) -> bool | None:
    if isinstance(tree, Leaf) and isinstance(tree.value, bool):
        return tree.value
    find(f"is true or false, and this is {kind_of(tree)}.")
    return None


def _one_of(words: Sequence[str]) -> Reader:
    def read(tree: Tree, find: Find) -> str | None:
        written = tree.written if isinstance(tree, Leaf) else kind_of(tree)
        if written in words:
            return written
        find(f"is one of {', '.join(words)}, and this is {written}.{suggest(written, words)}")
        return None

    return read


def _weights(tree: Tree, find: Find) -> dict[str, float] | None:
    if not isinstance(tree, Fields):
        find(f"is a number for each language, {{de: 2, fr: 1}}, and this is {kind_of(tree)}.")
        return None
    numbers = {field.key: _number(field.value, lambda text: find(text)) for field in tree.fields}
    return {to_bcp47(name): number for name, number in numbers.items() if number is not None}


def _languages(tree: Tree, find: Find) -> list[str] | str | None:
    if isinstance(tree, Leaf) and tree.value in ("core", "all"):
        return tree.written
    items = tree.items if isinstance(tree, Items) else (tree,)
    written = [item.written if isinstance(item, Leaf) else kind_of(item) for item in items]
    names = [name.strip() for each in written for name in each.split(",")] if isinstance(tree, Leaf) else written
    for name in dict.fromkeys(names):
        if not is_language_code(name):
            find(f"is core, all, or a list of codes such as [de, pt-BR], and {name!r} is no code.")
    codes = [to_bcp47(name) for name in names]
    twice = [code for code in dict.fromkeys(codes) if codes.count(code) > 1]
    if twice:
        find(f"names {', '.join(twice)} more than once.")
    return codes


KEYS: dict[str, Key] = {
    "corpus.package": Key(_text),
    "corpus.catalogs": Key(_text),
    "corpus.texts": Key(_text),
    "corpus.pairs": Key(_text),
    "corpus.mask_placeholders": Key(_flag, False),
    "languages": Key(_languages, "core"),
    "strategy": Key(_one_of((*STRATEGIES, PER_LANGUAGE)), "joint"),
    "size": Key(_integer, 8000),
    "pretokenizer": Key(_one_of(tuple(PRESETS))),
    "sampling.policy": Key(_one_of(POLICIES)),
    "sampling.alpha": Key(_number),
    "sampling.max_epochs": Key(_number),
    "sampling.weights": Key(_weights),
    "parity.variant": Key(_one_of(VARIANTS)),
    "parity.window_size": Key(_integer),
    "parity.alpha": Key(_number),
    "parity.global_merges": Key(_integer),
    "clusters": Key(_integer),
    "per_language.kind": Key(_one_of(KINDS), "joint"),
    "per_language.policy": Key(_one_of(tuple(policy for policy in ROW_POLICIES if policy != "dictionary")), "surface"),
}
SECTIONS = {name.partition(".")[0] for name in KEYS if "." in name}
