"""The decisions of a run and its present spec in; a log, a spec file and a page beside the checkpoints out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning_tying.reports.adaptive.decision import Decision, write_decisions
from lightning_tying.reports.page import write_page

LOG, SPEC, PAGE = "adaptive-sharing.jsonl", "adaptive-sharing.yaml", "adaptive-sharing.html"


def write_log(folder: Path, decisions: Sequence[Decision], spec: str, step: int) -> None:
    """Write all decisions, and the spec that gives the present sharing to the untied model; each file whole.

    A run that goes on from a checkpoint has the decisions up to it, so that what was written later is replaced.

    Args:
        folder: made where it is missing.
        decisions: all of them.
        spec: canonical text; empty for none.
        step: optimizer steps so far.

    Raises:
        ConfigError: a file cannot be written.
    """
    write_page(write_decisions(decisions), folder / LOG)
    if spec:
        told = f"# The sharing after {step} optimizer steps; decisions of AdaptiveSharing: {len(decisions)}.\n"
        write_page(told + spec, folder / SPEC)


def write_timeline(folder: Path, decisions: Sequence[Decision], begun: int, steps: int, spec: str) -> None:
    """Write the page.

    Args:
        folder: made where it is missing.
        decisions: of the run.
        begun: parameters at its start.
        steps: of the optimizer, in all.
        spec: at its end; empty for none.

    Raises:
        ConfigError: it cannot be written.
    """
    # matplotlib takes long to import, and is needed at the end alone
    from lightning_tying.reports.adaptive.timeline import render_timeline

    write_page(render_timeline(decisions, begun, steps, spec), folder / PAGE)
