"""Time several sides in turn within one run; out come medians, spreads and ratios, and a dated page."""

from __future__ import annotations

import datetime
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import describe_machine

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """Seconds of one side over all rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile."""
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return low, high

    def __str__(self) -> str:
        low, high = self.spread
        return f"{1000 * self.median:.2f} ms ({1000 * low:.2f} … {1000 * high:.2f})"


def time_in_turn(sides: Mapping[str, Callable[[], object]], rounds: int, warmup: int = 2) -> dict[str, Timing]:
    """Run every side once in each round, so that a noisy minute falls on all of them.

    Args:
        sides: what to time, by its fair name.
        rounds: how often each side is timed.
        warmup: rounds before that are thrown away.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(warmup + rounds):
        order = list(sides.items())
        for name, run in order if number % 2 else reversed(order):  # whoever follows finds other caches
            start = time.perf_counter()
            run()
            if number >= warmup:
                seconds[name].append(time.perf_counter() - start)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def ratio_by_round(above: Timing, below: Timing) -> Timing:
    """The ratio of two sides in every round; its median is steadier than the ratio of the medians."""
    return Timing(tuple(a / b for a, b in zip(above.seconds, below.seconds, strict=True)))


def write_result(name: str, title: str, body: str) -> Path:
    """Write `results/<date>-<name>.md` with the machine described, and print it."""
    today = datetime.date.today().isoformat()
    page = f"# {title}\n\n{today}. {describe_machine()}\n\n{body.strip()}\n"
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{today}-{name}.md"
    path.write_text(page, encoding="utf-8")
    print(page)
    return path
