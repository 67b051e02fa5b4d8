"""What sharing saves goes in; `sharing.json`, `sharing.md`, `sharing.html` and `sharing.svg` of a folder come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from lightning_tying.graph.collector import pause_gc
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.plan import Plan
from lightning_tying.reports.reckoning.run_savings import RunSavings
from lightning_tying.reports.savings import SavingsReport
from lightning_tying.reports.sharing_page import make_page
from lightning_tying.reports.sharing_svg import graph_to_svg
from lightning_tying.whole_files import write_together

NAME = "sharing"


def write_files(
    folder: Path, plan: Plan | None, graphs: Sequence[SharingGraph], forecast: SavingsReport, run: RunSavings
) -> None:
    """Write the four files, all of them or none.

    Args:
        folder: made where it is missing.
        plan: by which the module was tied, None for a module without one.
        graphs: of all tied roots, for the pictures; the first one's is `sharing.svg`.
        forecast: what `lightning-tying plan` says, key `savings` of the JSON file.
        run: what this run saves, key `run`.

    Raises:
        ConfigError: the folder cannot be written.
    """
    with pause_gc():
        texts = _write_texts(plan, graphs, forecast, run)
    write_together({folder / f"{NAME}.{ending}": text.encode() for ending, text in texts.items()})


def _write_texts(
    plan: Plan | None, graphs: Sequence[SharingGraph], forecast: SavingsReport, run: RunSavings
) -> dict[str, str]:
    pictures = [graph_to_svg(graph) for graph in graphs]
    content = {"plan": plan and plan.to_dict(), "savings": forecast.to_dict(), "run": run.to_dict()}
    lines = (f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in content.items())
    return {
        "json": "{\n" + ",\n".join(lines) + "\n}\n",  # not indented by `json`, which takes ten times as long
        "md": f"# What sharing saves\n\n{run.to_markdown()}\n",
        "html": make_page(run, pictures),
        "svg": pictures[0],
    }
