"""Lightning callbacks: what sharing saves, and what a run leaves behind. None of them changes the model."""

from lightning_tying.callbacks.parameter_savings import ParameterSavings
from lightning_tying.callbacks.plain_progress import PlainProgress
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt

__all__ = ["ParameterSavings", "PlainProgress", "RunCheckpoint", "SaveOnInterrupt"]
