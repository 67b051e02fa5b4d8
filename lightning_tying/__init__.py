"""Say which parameters a model shares; train the smaller model.

A sharing spec is a short list of equations over the tensors of any `torch.nn.Module`. `tie` checks it, lowers it to
plain aliases and keeps it true. `build` makes a LightningModule of a config and is loaded only when it is asked for,
so that importing this package costs little more than importing torch.
"""

from typing import TYPE_CHECKING, Any

from lightning_tying.api import discover, get_plan, make_plan, report_savings, tie, untie, verify
from lightning_tying.errors import TyingError
from lightning_tying.graph import SharingGraph
from lightning_tying.lowering import Plan
from lightning_tying.spec import SharingSpec

if TYPE_CHECKING:
    from lightning_tying.tasks.build import build

__all__ = [
    "Plan",
    "SharingGraph",
    "SharingSpec",
    "TyingError",
    "build",
    "discover",
    "get_plan",
    "make_plan",
    "report_savings",
    "tie",
    "untie",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load `build`, and with it Lightning, when it is first asked for (PEP 562)."""
    if name == "build":
        from lightning_tying.tasks.build import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
