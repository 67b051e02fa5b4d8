"""From a sharing graph to torch: a plan of steps, the one place that changes a module, and what keeps ties true."""

from lightning_tying.lowering.plan import Alias, Parametrize, Plan

__all__ = ["Alias", "Parametrize", "Plan"]
