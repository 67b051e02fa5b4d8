"""The initial value that a function says as text in, an `Init` out; not all of them can be written in a spec."""

from __future__ import annotations

from functools import lru_cache
from typing import get_args

from lightning_tying.spec.inits import read_init
from lightning_tying.spec.nodes import DefaultInit, Init


@lru_cache(maxsize=256)
def read_default(text: str | None) -> Init | None:
    """The initial value that a function says as text."""
    if text is None:
        return None
    kind = next((kind for kind in get_args(DefaultInit) if kind == text), None)
    return Init(kind) if kind is not None else read_init(text)
