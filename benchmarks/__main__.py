"""`make bench`: run every benchmark and keep its page under `results/`."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "planning",
    "training_step",
    "adapters",
    "derived_values",
    "evaluation",
    "decoding",
    "input_pipeline",
    "startup",
    "savings_startup",
    "stability",
    "input_output_use",
    "uses",
    "vocabulary_training",
    "uniting",
    "united_rows",
    "encoding",
    "share_then_unshare",
)


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"Unknown benchmark {unknown[0]}. Known: {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
