"""Say which parameters a model shares; train the smaller model.

A sharing spec is a short list of equations over the tensors of any `torch.nn.Module`. `tie` checks it, lowers it to
plain aliases where it can and to parametrizations where it must, and keeps it true; `build` makes a LightningModule of
a config.

Names are loaded when they are first asked for (PEP 562): the command line answers `--help` without torch, and only
`build` loads Lightning.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning_tying.algebra.registry import register_transform
    from lightning_tying.algebra.transform import Transform
    from lightning_tying.api import (
        cache_values,
        discover,
        get_plan,
        join,
        make_plan,
        materialize,
        report_distances,
        report_savings,
        split,
        tie,
        untie,
        verify,
    )
    from lightning_tying.errors import TyingError
    from lightning_tying.graph import SharingGraph, SharingGroup
    from lightning_tying.lowering import Plan
    from lightning_tying.lowering.edits.change_members import change_members
    from lightning_tying.lowering.edits.resize import resize_vocabulary
    from lightning_tying.lowering.penalty import reckon_penalty
    from lightning_tying.lowering.state_dicts.untied_state import untied_state_dict
    from lightning_tying.spec import SharingSpec
    from lightning_tying.tasks.build import build
    from lightning_tying.tied_class import tie_class

__all__ = [
    "Plan",
    "SharingGraph",
    "SharingGroup",
    "SharingSpec",
    "Transform",
    "TyingError",
    "build",
    "cache_values",
    "change_members",
    "discover",
    "get_plan",
    "join",
    "make_plan",
    "materialize",
    "reckon_penalty",
    "register_transform",
    "report_distances",
    "report_savings",
    "resize_vocabulary",
    "split",
    "tie",
    "tie_class",
    "untie",
    "untied_state_dict",
    "verify",
]

_HOMES = {
    "Plan": "lightning_tying.lowering",
    "SharingGraph": "lightning_tying.graph",
    "SharingGroup": "lightning_tying.graph",
    "SharingSpec": "lightning_tying.spec",
    "Transform": "lightning_tying.algebra.transform",
    "TyingError": "lightning_tying.errors",
    "build": "lightning_tying.tasks.build",
    "change_members": "lightning_tying.lowering.edits.change_members",
    "reckon_penalty": "lightning_tying.lowering.penalty",
    "register_transform": "lightning_tying.algebra.registry",
    "resize_vocabulary": "lightning_tying.lowering.edits.resize",
    "tie_class": "lightning_tying.tied_class",
    "untied_state_dict": "lightning_tying.lowering.state_dicts.untied_state",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "lightning_tying.api")), name)
    globals()[name] = value  # the next access is a plain one
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
