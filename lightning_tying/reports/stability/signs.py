"""One record in; whether something in it is a sign of trouble, and the sentence that says so, out."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_tying.reports.stability.record import Record

SPIKE = 6.0  # robust z-score of a log-norm
FAST = 0.5  # of its own size in one step; the usual is 0.001 to 0.05
OFTEN = 0.6  # of the samples; uses that have nothing to do with each other are below 0 in half of them
APART = -0.05  # mean cosine
SURE = 3.0  # standard errors by which a mean cosine is below that
DOMINANT = 4.0  # times the mean share of the other uses


def is_spike(record: Record) -> bool:
    """Whether the gradient is far larger than those before it."""
    return record.spike > SPIKE


def is_fast(record: Record) -> bool:
    """Whether a step moves the parameter by half its size or more."""
    return record.update_to_weight > FAST


def is_conflict(share: float, cosine: float, error: float) -> bool:
    """Whether two uses pull apart, as far as can be told from some samples.

    Args:
        share: of the samples in which their cosine is below 0.
        cosine: the mean.
        error: its standard error.
    """
    return share >= OFTEN and cosine + SURE * error <= APART


def is_dominated(shares: Sequence[float]) -> bool:
    """Whether one use has four times the others' mean share, or more: for two uses, 80 %."""
    if len(shares) < 2:
        return False
    largest = max(shares)
    return largest * (len(shares) - 1) >= DOMINANT * (1 - largest)


def find_alarms(record: Record) -> tuple[str, ...]:
    """What of one sample cannot wait, a sentence each; nothing for a healthy one.

    Conflicts are not among them: uses that disagree train, and a single sample says little about it.
    """
    found: list[str] = []
    if not record.finite:
        first = f", first in {record.first_nonfinite}" if record.first_nonfinite else ""
        found.append(f"{record.group}: the gradient is not finite at step {record.step}{first}")
    if is_spike(record):
        found.append(
            f"{record.group}: the gradient's norm, {record.sum_norm:.3g}, is a spike at step {record.step}: its log is "
            f"{record.spike:.1f} spreads above the median of the samples before"
        )
    if is_fast(record):
        found.append(
            f"{record.group}: step {record.step} moves it by {100 * record.update_to_weight:.0f} % of its size"
        )
    return tuple(found)
