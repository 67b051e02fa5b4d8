"""Moments follow the rows of a new vocabulary: kept rows keep theirs, and new rows do not leap."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch

from lightning_tying.checkpoints.moments_of_rows import carry_state
from lightning_tying.lowering.edits.new_rows import make_row_change
from lightning_tying.lowering.edits.row_change import RowChange


@dataclass
class Origins:
    kept: list[int]
    parts: list[list[int]] = field(default_factory=list)
    old_size: int = 4


CHANGE = make_row_change(Origins([3, -1, 0, -1], [[], [1, 2, 2], [], []]), "subword_mean")


def train(table: torch.nn.Parameter, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for step in range(steps):
        optimizer.zero_grad()
        (table * torch.linspace(0.1, 1 + step / 9, table.numel()).view_as(table)).sum().backward()
        optimizer.step()


@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop, torch.optim.Adagrad])
def test_kept_rows_keep_their_moments(make: type[torch.optim.Optimizer]) -> None:
    options = {torch.optim.AdamW: {"amsgrad": True}, torch.optim.SGD: {"lr": 0.1, "momentum": 0.9}}.get(make, {})
    table = torch.nn.Parameter(torch.randn(4, 3))
    optimizer = make([table], **options)  # pyright: ignore
    train(table, optimizer, 3)
    state = optimizer.state_dict()["state"][0]
    made = carry_state(state, CHANGE, 0)
    assert made.keys() == state.keys()
    for key, value in state.items():
        if isinstance(value, torch.Tensor) and value.dim():
            assert torch.equal(made[key][[0, 2]], value[[3, 0]])
        else:
            assert made[key] == value
    fresh = torch.nn.Parameter(CHANGE.carry(table, 0))
    again = make([fresh], **options)  # pyright: ignore
    again.load_state_dict({**optimizer.state_dict(), "state": {0: made}})
    train(fresh, again, 1)


def test_new_rows_begin_without_direction_and_with_the_size_of_gradients() -> None:
    state = {"step": torch.tensor(9.0), "exp_avg": torch.ones(4, 2), "exp_avg_sq": torch.arange(8.0).view(4, 2)}
    made = carry_state(state, CHANGE, 0)
    assert not made["exp_avg"][[1, 3]].any() and made["step"] == 9
    torch.testing.assert_close(made["exp_avg_sq"][1], (state["exp_avg_sq"][1] + 2 * state["exp_avg_sq"][2]) / 3)
    torch.testing.assert_close(made["exp_avg_sq"][3], state["exp_avg_sq"].mean(0))


def test_sizes_stay_positive_whatever_the_weights_are() -> None:
    weights = torch.tensor([2.0, -1.0], dtype=torch.float64)
    change = RowChange(2, torch.tensor([0, -1]), torch.tensor([1, 1]), torch.tensor([0, 1]), weights)
    made = carry_state({"exp_avg_sq": torch.tensor([[1.0], [7.0]])}, change, 0)
    torch.testing.assert_close(made["exp_avg_sq"][1], torch.tensor([3.0]))  # 2/3 · 1 + 1/3 · 7


def test_the_first_step_of_a_new_row_is_no_larger_than_the_learning_rate() -> None:
    table = torch.nn.Parameter(torch.zeros(4, 3))
    optimizer = torch.optim.AdamW([table], lr=0.01, weight_decay=0.0)
    train(table, optimizer, 300)
    fresh = torch.nn.Parameter(CHANGE.carry(table, 0))
    again = torch.optim.AdamW([fresh], lr=0.01, weight_decay=0.0)
    saved = optimizer.state_dict()
    again.load_state_dict({**saved, "state": {0: carry_state(saved["state"][0], CHANGE, 0)}})
    before = fresh.detach().clone()
    fresh.sum().backward()
    again.step()
    assert float((fresh.detach() - before)[[1, 3]].abs().max()) <= 0.01
