"""A tied module and its plan in; nothing out, or a refusal of reentrant activation checkpointing of what is shared."""

from __future__ import annotations

from functools import partial
from typing import cast

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.resolve import walk_modules


def check_reentrant(root: nn.Module, plan: Plan) -> None:
    """Refuse modules that run a shared parameter's sites under reentrant activation checkpointing.

    Seen are the wrappers of `apply_activation_checkpointing`, and every module that keeps
    `partial(checkpoint, use_reentrant=True)` as an attribute, as those of transformers do. A call of
    `torch.utils.checkpoint.checkpoint(…, use_reentrant=True)` inside a `forward` is not to be seen from outside; under
    DDP torch itself refuses it in the first backward pass ("marked as ready twice").

    Args:
        root: the tied module.
        plan: that it is tied by.

    Raises:
        ApplyError: with the module, the sharing group and the reason.
    """
    reentrant = [(path, part) for path, part in walk_modules(root, computed=False) if _is_reentrant(part)]
    if not reentrant:
        return
    for group in plan.graph.groups:
        if len(group.uses) < 2:
            continue
        for path, part in reentrant:
            inside = next((site for site in group.sites if _lies_in(site, path)), None)
            if inside is not None:
                raise ApplyError(_explain(path, part, str(group.name), inside))


def _explain(path: str, part: nn.Module, group: str, site: str) -> str:
    where = f"`{path}`" if path else f"This {type(part).__name__}"
    return (
        f"{where} uses reentrant activation checkpointing, and {site} in it reads the shared parameter `{group}`. A "
        "reentrant checkpoint runs a backward pass of its own for each block, so the gradient of a shared parameter is "
        "finished once for each block: DDP and FSDP2 take the first for the whole. Use the non-reentrant one: "
        "checkpoint(…, use_reentrant=False), CheckpointImpl.NO_REENTRANT, or "
        'gradient_checkpointing_enable({"use_reentrant": False}).'
    )


def _lies_in(site: str, path: str) -> bool:
    return not path or site.startswith(f"{path}.")


def _is_reentrant(part: nn.Module) -> bool:
    """Whether a module checkpoints so; transformers leaves the function there when it is switched off again."""
    # Asked of every module at every tie, and a module without the attribute pays most for `getattr`: that comes last.
    calls = cast("list[partial[object]]", [value for value in vars(part).values() if isinstance(value, partial)])
    return any(map(_is_reentrant_call, calls)) and getattr(part, "gradient_checkpointing", True) is not False


def _is_reentrant_call(call: partial[object]) -> bool:
    # By name: the function is imported with torch, but a wrapper of the same name (compile, deepspeed) counts as well.
    return getattr(call.func, "__name__", "") == "checkpoint" and call.keywords.get("use_reentrant") is True
