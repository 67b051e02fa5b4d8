"""A value of any kind in; the same as JSON can hold it, out: one line of a file that a run appends to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, cast


def to_plain(value: Any) -> Any:
    """Mappings, lists and texts, numbers with nine digits: as many as a float32 has.

    Args:
        value: numbers, texts, and mappings and lists of them; what is not finite becomes None.
    """
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [to_plain(each) for each in cast("list[Any]", value)]
    return value
