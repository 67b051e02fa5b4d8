"""Progress without a terminal: a running trainer goes in, a few plain lines come out."""

from __future__ import annotations

import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from typing_extensions import override


class PlainProgress(ProgressBar):
    """Prints at most about `lines` lines while it trains, for logs and dumb terminals.

    Args:
        lines: how many lines a whole training prints.
    """

    def __init__(self, lines: int = 20) -> None:
        super().__init__()
        self.lines = lines
        self._enabled = True

    @override
    def disable(self) -> None:
        """Print nothing from now on; Lightning calls it on all ranks but the first."""
        self._enabled = False

    @override
    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Print a line now and then."""
        total = trainer.estimated_stepping_batches
        step = trainer.global_step
        every = max(1, int(total) // self.lines) if total != float("inf") else 50
        if self._enabled and (step % every == 0 or step == total):
            of = f"/{int(total)}" if total != float("inf") else ""
            print(f"step {step}{of}  {self._values(trainer, pl_module)}", file=sys.stderr, flush=True)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the validation's values."""
        if self._enabled and not trainer.sanity_checking:
            values = {k: v for k, v in trainer.callback_metrics.items() if k.startswith("val/") and k.count("/") == 1}
            text = "  ".join(f"{name} {float(value):.4g}" for name, value in values.items())
            print(f"validation at step {trainer.global_step}  {text}", file=sys.stderr, flush=True)

    def _values(self, trainer: Trainer, pl_module: LightningModule) -> str:
        metrics = self.get_metrics(trainer, pl_module)
        shown = {name: value for name, value in metrics.items() if name != "v_num"}
        return "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in shown.items())
