"""Maps that a checkpoint carries in; `read_map` takes them in place of files while they are at hand."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from lightning_tying.algebra.expression import FileMap

_kept: ContextVar[Mapping[str, FileMap] | None] = ContextVar("kept_maps", default=None)


@contextmanager
def use_maps(maps: Mapping[str, FileMap]) -> Generator[None]:
    """Let specs be planned with these maps, by path as the spec has it; their files need not exist."""
    token = _kept.set(maps)
    try:
        yield
    finally:
        _kept.reset(token)


def find_kept(path: str) -> FileMap | None:
    """The map of that path, None where none is at hand."""
    return (_kept.get() or {}).get(path)
