"""Lightning callbacks: what sharing saves, and what a run leaves behind. None of them changes the model."""

from lightning_tying.callbacks.parameter_savings import ParameterSavings

__all__ = ["ParameterSavings"]
