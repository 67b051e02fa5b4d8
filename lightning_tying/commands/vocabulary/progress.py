"""A progress bar: what is being done goes in; on a terminal it is shown, elsewhere nothing."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lightning_tying.vocab.training.request import Progress as Report
from lightning_tying.vocab.training.request import ignore_progress


@contextmanager
def show_progress() -> Generator[Report]:
    """What is to be called with a stage, what is done of it, and how much there is; on standard error."""
    console = Console(file=sys.stderr)
    if not console.is_terminal or console.is_dumb_terminal:
        yield ignore_progress
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading the corpus", total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total or None)

        yield report
