"""The private names of torch that the lowering asks."""

from __future__ import annotations

import torch
from torch.autograd.graph import saved_tensors_hooks

from lightning_tying.lowering.runtime.autograd_state import (
    after_backward,
    autocasts,
    may_replace_saved,
    storage_key,
    top_pack,
)


def same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def test_the_hook_on_top() -> None:
    assert top_pack() is None
    with saved_tensors_hooks(same, same):
        assert top_pack() is same
        with saved_tensors_hooks(lambda tensor: tensor, same):
            assert top_pack() is not same
        assert top_pack() is same
    assert top_pack() is None


def test_when_saved_tensors_may_be_replaced() -> None:
    assert may_replace_saved()
    with torch.no_grad():
        assert not may_replace_saved()
    with torch.autograd.graph.disable_saved_tensors_hooks("no"):
        assert not may_replace_saved()
    with torch.autograd.forward_ad.dual_level():
        assert not may_replace_saved()
    seen: list[bool] = []

    def probe(x: torch.Tensor) -> torch.Tensor:
        seen.append(may_replace_saved())
        return x.sum()

    torch.func.grad(probe)(torch.ones(2))
    torch.func.vmap(probe)(torch.ones(2, 2))
    assert seen == [False, False]
    assert may_replace_saved()


def test_memory_has_a_number() -> None:
    tensor = torch.ones(4, 4)
    assert storage_key(tensor) == storage_key(tensor.t()[1:]) == storage_key(tensor.detach())
    assert storage_key(tensor) != storage_key(tensor.clone())
    assert storage_key(torch.ones(2, device="meta")) is not None
    torch.func.vmap(lambda row: (storage_key(row), row)[1])(tensor)


def test_after_a_backward_pass() -> None:
    done: list[int] = []
    assert not after_backward(lambda: done.append(0))
    x = torch.ones(2, requires_grad=True)
    y = x * 2
    y.register_hook(lambda grad: (done.append(after_backward(lambda: done.append(2))), grad)[1])
    y.sum().backward()
    assert done == [True, 2]


def test_autocast_by_device() -> None:
    assert not autocasts("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert autocasts("cpu")
        assert not autocasts("meta")
