"""Lightning callbacks: what sharing saves, and what a run leaves behind. None of them changes the model's ties."""

from lightning_tying.callbacks.gradient_stability import GradientStability
from lightning_tying.callbacks.parameter_savings import ParameterSavings
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.callbacks.run_checkpoint import RunCheckpoint
from lightning_tying.callbacks.save_on_interrupt import SaveOnInterrupt
from lightning_tying.callbacks.shared_finetuning import SharedFinetuning

__all__ = [
    "GradientStability",
    "KeepRandomState",
    "ParameterSavings",
    "RunCheckpoint",
    "SaveOnInterrupt",
    "SharedFinetuning",
]
