"""What is said of an optimizer's state before the first step is what the optimizer has after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import nn

from lightning_tying.reports.reckoning.optimizer_state import find_rule, find_rules

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
MAKERS: dict[str, Make] = {
    "Adadelta": torch.optim.Adadelta,
    "Adafactor": lambda each: torch.optim.Adafactor(each, lr=0.1),
    "Adagrad": torch.optim.Adagrad,
    "Adam": torch.optim.Adam,
    "Adam, amsgrad": lambda each: torch.optim.Adam(each, amsgrad=True),
    "Adamax": torch.optim.Adamax,
    "AdamW": torch.optim.AdamW,
    "AdamW, amsgrad": lambda each: torch.optim.AdamW(each, amsgrad=True),
    "ASGD": torch.optim.ASGD,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "RMSprop": torch.optim.RMSprop,
    "RMSprop, momentum and centered": lambda each: torch.optim.RMSprop(each, momentum=0.9, centered=True),
    "Rprop": torch.optim.Rprop,
    "SGD": lambda each: torch.optim.SGD(each, lr=0.1),
    "SGD, momentum": lambda each: torch.optim.SGD(each, lr=0.1, momentum=0.9),
}


def count(optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> tuple[int, int]:
    """Cells and bytes of what is kept for each cell; counters are single numbers."""
    kept = [value for value in optimizer.state[parameter].values() if isinstance(value, torch.Tensor) and value.ndim]
    return sum(each.numel() for each in kept), sum(each.numel() * each.itemsize for each in kept)


def step(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MAKERS)
def test_the_class_tells_what_a_step_makes(name: str, dtype: torch.dtype) -> None:
    parameters = [nn.Parameter(torch.ones(shape, dtype=dtype)) for shape in ((6, 5), (7,), (2, 3, 4))]
    optimizer = MAKERS[name](parameters)
    rules = find_rules([optimizer])
    forecast = [rules[id(each)] for each in parameters]
    step(optimizer, parameters)
    for parameter, rule in zip(parameters, forecast, strict=True):
        assert rule is not None
        assert rule.reckon(tuple(parameter.shape), parameter.itemsize) == count(optimizer, parameter)


def test_muon_keeps_one_matrix() -> None:
    parameter = nn.Parameter(torch.ones(6, 5))
    optimizer = torch.optim.Muon([parameter])
    rule = find_rules([optimizer])[id(parameter)]
    step(optimizer, [parameter])
    assert rule is not None and rule.reckon((6, 5), 4) == count(optimizer, parameter) == (30, 120)


class Heavy(torch.optim.AdamW):
    """A subclass keeps what it likes: here the initial value too, in half the bytes."""

    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                self.state[parameter]["start"] = torch.zeros_like(parameter, dtype=torch.bfloat16)


def test_an_unknown_class_is_measured_after_its_first_step() -> None:
    parameter = nn.Parameter(torch.ones(3, 4))
    optimizer = Heavy([parameter])
    assert find_rules([optimizer]) == {id(parameter): None}
    step(optimizer, [parameter])
    rule = find_rules([optimizer])[id(parameter)]
    assert rule is not None and rule.measured
    assert rule.reckon((3, 4), 4) == (3 * 12, 2 * 48 + 24)
    assert str(rule) == "Heavy: 3 for each parameter, measured"


def test_each_group_has_its_own_settings() -> None:
    one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([{"params": [one]}, {"params": [other], "momentum": 0.9}], lr=0.1)
    rules = find_rules([optimizer])
    found = [rules[id(each)] for each in (one, other)]
    assert [rule and rule.cells for rule in found] == [0, 1]
    assert find_rule(torch.optim.LBFGS([one]), {}) is None
