"""Records of sharing groups in; scalars and pictures in whichever loggers there are out.

Loggers are known by what they offer: none of their packages is imported.
"""

# pyright: reportUnknownMemberType=false
# Lightning's loggers are typed in part only.

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeAlias, cast

from lightning.pytorch.loggers import Logger

from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.summary import GroupSummary, summarize

Show: TypeAlias = Callable[[str, Any, int], None]

NUMBERS = ("kappa", "conflict", "dominance", "sum_norm", "snr", "drift", "spike", "update_to_weight")
MOST_SHARES = 12  # uses whose shares are logged one by one
MOST_ROWS = 24  # groups of rows of a vocabulary table
MOST_PICTURES = 8  # groups


def list_values(record: Record) -> dict[str, float]:
    """The scalars of a sample by their names in the logger: `tying/<group>/kappa`; what is NaN is left out."""
    values = {name: float(getattr(record, name)) for name in NUMBERS}
    if len(record.uses) <= MOST_SHARES:
        values |= {f"share/{use}": share for use, share in zip(record.uses, record.shares, strict=True)}
    for name, row in islice(record.rows.items(), MOST_ROWS):
        values |= {f"rows/{name}/share": row.share, f"rows/{name}/kappa": row.kappa}
    return {f"tying/{record.group}/{name}": value for name, value in values.items() if math.isfinite(value)}


def log_records(loggers: Iterable[Logger], records: Sequence[Record], step: int) -> None:
    """Give the scalars of one sample to each logger.

    Args:
        loggers: of the run.
        records: of one step.
        step: of the optimizer.
    """
    values = {name: value for record in records for name, value in list_values(record).items()}
    for logger in loggers if values else ():
        allowed = {_allow(name): value for name, value in values.items()} if _is_mlflow(logger) else values
        logger.log_metrics(allowed, step=step)


def log_pictures(loggers: Sequence[Logger], records: Sequence[Record]) -> None:
    """Show a heat map of cosines and a timeline of each group, of many groups the worst, where a logger can.

    Args:
        loggers: of the run.
        records: all, by step.
    """
    able = [logger for logger in loggers if _find_show(logger) is not None]
    if not able or not records:
        return
    # matplotlib takes long to import, and most runs end without a logger of pictures
    from lightning_tying.reports.stability.pictures import draw_cosines, draw_timeline

    for summary in summarize(records)[:MOST_PICTURES]:
        mine = [record for record in records if record.group == summary.group]
        pictures = {"timeline": draw_timeline(mine, summary.group)}
        if summary.cosines is not None and len(summary.uses) > 1:
            pictures["cosines"] = draw_cosines(summary.cosines, summary.uses, summary.group)
        _show(able, summary, pictures, mine[-1].step)


def _show(loggers: Iterable[Logger], summary: GroupSummary, pictures: dict[str, Any], step: int) -> None:
    for name, figure in pictures.items():
        for logger in loggers:
            show = _find_show(logger)
            if show is not None:
                show(f"tying/{summary.group}/{name}", figure, step)


def _find_show(logger: Logger) -> Show | None:
    """What shows a figure under a tag at a step; None for a logger that shows no pictures."""
    anything = cast(Any, logger)
    experiment: Any = getattr(anything, "experiment", None)
    if callable(getattr(experiment, "add_figure", None)):  # TensorBoard and what is made like it
        return partial(_add_figure, experiment)
    if callable(getattr(anything, "log_image", None)):  # Weights & Biases
        return partial(_log_image, anything)
    if _is_mlflow(logger) and callable(getattr(experiment, "log_figure", None)):
        return partial(_log_figure, anything)
    return None


def _add_figure(experiment: Any, tag: str, figure: Any, step: int) -> None:
    experiment.add_figure(tag, figure, step, close=False)  # closing goes through pyplot, which does not know it


def _log_image(logger: Any, tag: str, figure: Any, step: int) -> None:
    logger.log_image(key=tag, images=[figure], step=step)


def _log_figure(logger: Any, tag: str, figure: Any, step: int) -> None:
    logger.experiment.log_figure(logger.run_id, figure, f"{_allow(tag)}-{step}.png")


def _is_mlflow(logger: Logger) -> bool:
    return any(kind.__name__ == "MLFlowLogger" for kind in type(logger).__mro__)


def _allow(name: str) -> str:
    """MLflow takes letters, digits, `_`, `-`, `.`, spaces and `/`."""
    return re.sub(r"[^\w\-. /]", "_", name)
