"""A module in, the parts of it that run as code of `torch.compile` out."""

from __future__ import annotations

from torch import nn

from lightning_tying.lowering.resolve import own_modules, walk_modules


def find_compiled(module: nn.Module) -> list[str]:
    """The FQNs of what was given to `torch.compile`, or whose `compile()` was called; `""` for the module itself.

    Per-use gradients are caught in uncompiled code: a compiled function is one node of autograd's graph, which hands
    over sums.
    """
    return [path for path, part in walk_modules(module) if "_orig_mod" in own_modules(part) or _is_compiled(part)]


def _is_compiled(module: nn.Module) -> bool:
    return getattr(module, "_compiled_call_impl", None) is not None
