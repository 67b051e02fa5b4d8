"""What a module predicted: a list for each batch goes in, readable lines come out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast


def print_predictions(batches: Sequence[Any]) -> None:
    """Print a line for each label or text, a block for each mapping, and anything else as it is."""
    for item in _flatten(batches):
        if isinstance(item, Mapping):
            for name, value in cast("Mapping[str, Any]", item).items():
                print(f"{name}: {value}")
            print()
        else:
            print(item)


def _flatten(item: Any) -> Iterable[Any]:
    if isinstance(item, list | tuple):
        for each in cast("list[Any]", item):
            yield from _flatten(each)
    else:
        yield item
