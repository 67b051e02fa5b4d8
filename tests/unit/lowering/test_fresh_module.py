"""What `initialize` gives an object is what torch gives it, and belongs to that object alone."""

from __future__ import annotations

import torch
from torch import nn

from lightning_tying.lowering.runtime.fresh_module import initialize, make_module_dict


def test_as_torch_does_it() -> None:
    made = nn.Module.__new__(nn.Module)
    initialize(made)
    assert vars(made) == vars(nn.Module())
    assert {name: type(held) for name, held in vars(made).items()} == {
        name: type(held) for name, held in vars(nn.Module()).items()
    }


def test_nothing_is_shared_between_objects() -> None:
    one, other = make_module_dict(), make_module_dict()
    one["fc"] = nn.Linear(2, 2)
    one.register_buffer("steps", torch.zeros(1), persistent=False)
    one.register_forward_hook(lambda *_: None)
    assert isinstance(other, nn.ModuleDict)
    assert vars(other) == vars(nn.ModuleDict())
    assert not any(vars(one)[name] is held for name, held in vars(other).items() if isinstance(held, dict | set))
