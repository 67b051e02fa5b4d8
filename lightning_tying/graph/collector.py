"""Planning makes many small objects that all live on: the garbage collector waits while it runs."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def pause_gc() -> Generator[None]:
    """Pause the cyclic garbage collector; with it, planning 10 times the sites takes 18 times as long."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
