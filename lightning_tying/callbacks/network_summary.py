"""The size of a module in a few lines: a module goes in at fit start, a line for each of its parts comes out."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch.callbacks import ModelSummary
from typing_extensions import override


class NetworkSummary(ModelSummary):
    """Prints the parts that have parameters, each shared parameter once.

    Lightning's own table counts floating-point operations, which it knows only of modules with an example input, and
    lists metrics, which have no parameters.
    """

    @staticmethod
    @override
    def summarize(
        summary_data: list[tuple[str, list[str]]],
        total_parameters: int,
        trainable_parameters: int,
        model_size: float,
        total_training_modes: dict[str, int],
        total_flops: int,
        **summarize_kwargs: Any,
    ) -> None:
        """Print the lines."""
        columns = dict(summary_data)
        for name, kind, count in zip(columns["Name"], columns["Type"], columns["Params"], strict=True):
            if count.strip() != "0":
                print(f"{name}: {kind}, {count.strip()} parameters", file=sys.stderr)
        frozen = total_parameters - trainable_parameters
        print(
            f"{trainable_parameters:,} trainable and {frozen:,} frozen parameters, {model_size:.3g} MB",
            file=sys.stderr,
        )
