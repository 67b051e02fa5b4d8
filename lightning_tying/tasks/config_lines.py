"""Where a word stands: config files and a word go in, `‹file›:‹line›: ` comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

Place = tuple[str, int]


def locate(files: Sequence[Path], word: str) -> str:
    """`‹file›:‹line›: ` of the first place where a config has this word as a key or a value; else empty."""
    for file in files:
        try:
            tree = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (OSError, yaml.YAMLError):
            continue
        for text, line in _words(tree):
            if text == word:
                return f"{file}:{line}: "
    return ""


def _words(node: Any) -> Iterator[Place]:
    if isinstance(node, yaml.ScalarNode):
        yield str(cast(Any, node).value), node.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for item in cast("list[Any]", node.value):
            yield from _words(item)
    elif isinstance(node, yaml.MappingNode):
        for key, value in cast("list[tuple[Any, Any]]", node.value):
            yield from _words(key)
            yield from _words(value)
