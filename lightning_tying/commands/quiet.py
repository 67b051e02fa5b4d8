"""What a run says: Lightning's messages and Python's warnings go in, those that tell a user something come out."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from lightning_tying.errors import SharingWarning

TELLS_NOTHING = (
    "💡 Tip:",  # advertises a service
    "TPU available:",
    "`weights_only` was not set",  # the trainer's own choice
    "Loading `train_dataloader` to estimate",
)
ONLY_FOR_AUTHORS = (
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # how Lightning calls torch
    r"LightningCLI's args parameter is intended",  # sys.argv stays: DDP starts its other processes by it
    r"Checkpoint directory .* exists and is not empty",  # the run folder has tokenizer.json by then
)
PACKAGE = str(Path(__file__).resolve().parent.parent)


class _Telling(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(TELLS_NOTHING)


@contextmanager
def only_what_tells() -> Generator[None]:
    """Leave out what tells a user nothing, and show this package's warnings without the place in its code."""
    before, telling = warnings.formatwarning, _Telling()
    handlers = list(logging.getLogger("lightning.pytorch").handlers)

    def show(message: Warning | str, category: type[Warning], name: str, line: int, text: str | None = None) -> str:
        ours = issubclass(category, SharingWarning) or name.startswith(PACKAGE)
        return f"warning: {message}\n" if ours else before(message, category, name, line, text)

    with warnings.catch_warnings():
        for pattern in ONLY_FOR_AUTHORS:
            warnings.filterwarnings("ignore", message=pattern)
        for handler in handlers:
            handler.addFilter(telling)
        warnings.formatwarning = show
        try:
            yield
        finally:
            warnings.formatwarning = before
            for handler in handlers:
                handler.removeFilter(telling)
