"""The records of a run in, `stability.html` beside them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from lightning_tying.reports.stability.record import Record

NAME = "stability.html"
SHARING = "sharing.json"


def write_page(records: Sequence[Record], folder: Path) -> None:
    """Write the page, with the savings on top where `ParameterSavings` left them in the same folder.

    Raises:
        ConfigError: it cannot be written.
    """
    # matplotlib takes long to import, and is needed at the end alone
    from lightning_tying.reports.stability.html import write_report

    write_report(records, _read_savings(folder / SHARING), folder / NAME)


def _read_savings(path: Path) -> dict[str, Any] | None:
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    savings = cast("dict[str, Any]", content).get("savings") if isinstance(content, dict) else None
    return cast("dict[str, Any]", savings) if isinstance(savings, dict) else None
