"""From a sharing graph to torch: a plan of steps, the one place that changes a module, and what keeps ties true."""

from lightning_tying.lowering.plan import Alias, Plan

__all__ = ["Alias", "Plan"]
