"""What torch is doing at this moment, by its private names; all of them stand here, in one file that is tested.

The public interface does not say which saved-tensor hooks are active, whether a transform of `torch.func` runs, or
which storage a tensor has.
"""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The names below are torch's own and have no stubs.

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Variable, forward_ad

_autograd: Any = cast(Any, torch._C)._autograd
_top_hooks: Callable[[bool], tuple[object, object] | None] = _autograd._top_saved_tensors_default_hooks
_hooks_enabled: Callable[[], bool] = _autograd._saved_tensors_hooks_is_enabled
_transforms_active: Callable[[], bool] = cast(Any, torch._C)._are_functorch_transforms_active


def top_pack() -> object | None:
    """The pack function of the saved-tensor hooks that run now; None without hooks."""
    top = _top_hooks(False)
    return None if top is None else top[0]


def may_replace_saved() -> bool:
    """Whether hooks of ours may replace saved tensors: gradients are recorded, eagerly, by plain reverse mode."""
    return (
        torch.is_grad_enabled()
        and _hooks_enabled()
        and not _transforms_active()
        and cast(int, cast(Any, forward_ad)._current_level) < 0
    )


def storage_key(tensor: Tensor) -> int | None:
    """A number for the memory of a tensor, equal for tensors that share it; None for one that has none of its own."""
    try:
        return tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):  # wrapped by a transform, or a subclass without memory
        return None


def shares_memory(tensor: Tensor, others: Iterable[Tensor]) -> bool:
    """Whether a tensor lies in the memory of one of the others; of distributed ones this process's parts are meant."""
    key = storage_key(_local_part(tensor))
    return key is not None and any(storage_key(_local_part(other)) == key for other in others)


def _local_part(tensor: Tensor) -> Tensor:
    """What a DTensor holds here: it has no memory of its own. `to_local` would be recorded by autograd."""
    return getattr(tensor, "_local_tensor", tensor)


def after_backward(callback: Callable[[], None]) -> bool:
    """Run something when the backward pass that runs now has ended; False outside of one."""
    try:
        cast(Any, Variable._execution_engine).queue_callback(callback)
    except RuntimeError:
        return False
    return True


def autocasts(device: str) -> bool:
    """Whether autocast is on for a type of device; meta has none."""
    return device != "meta" and torch.is_autocast_enabled(device)
