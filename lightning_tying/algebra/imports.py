"""Whether a spec may import modules: a user's may, one that a stranger's checkpoint brings may not."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_imported_only: ContextVar[bool] = ContextVar("imported_only", default=False)


@contextmanager
def imported_only() -> Generator[None]:
    """Inside, an import path in a spec leads to modules that are imported already, and to no others."""
    token = _imported_only.set(True)
    try:
        yield
    finally:
        _imported_only.reset(token)


def may_import(module: str) -> bool:
    """Whether a spec may name something of this module."""
    return not _imported_only.get() or module in sys.modules
