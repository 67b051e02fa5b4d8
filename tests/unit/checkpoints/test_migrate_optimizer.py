"""The optimizer's saved state for another layout: positions, groups, rates, schedules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.checkpoints.migrate_optimizer import migrate_optimizer, migrate_schedule
from lightning_tying.checkpoints.migrate_weights import migrate_values, read_sites, write_sites
from lightning_tying.checkpoints.origins import Layout
from lightning_tying.errors import ConfigError
from lightning_tying.tasks.optimizers.optimization import make_optimizer

SPEC = {"share": [{"sites": "{l}.weight", "equals": "W"}], "parameters": {"W": {"lr": 0.5, "weight_decay": 0.0}}}


def make() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))


def adamw(params: object) -> torch.optim.Optimizer:
    return torch.optim.AdamW(params, lr=0.1, weight_decay=0.01)  # pyright: ignore


def names(module: nn.Module) -> dict[int, str]:
    return {id(p): Layout(module).first_name(p) for p in module.parameters()}


def test_the_new_state_is_what_the_new_optimizer_loads() -> None:
    source, target = make(), make()
    before = make_optimizer(source, adamw)
    source(torch.randn(3, 4)).square().sum().backward()
    before.step()
    write_sites(target, read_sites(source))
    tie(target, SPEC)
    origins = migrate_values(source, target)
    after = make_optimizer(target, adamw)
    saved = before.state_dict()
    saved["param_groups"][0]["lr"] = 0.05  # where a schedule has brought it
    moved = migrate_optimizer(saved, make_optimizer(source, adamw), after, (names(source), names(target)), origins)
    after.load_state_dict(moved)
    weight, bias = target[0].weight, target[1].bias
    mean = (before.state[source[0].weight]["exp_avg"] + before.state[source[1].weight]["exp_avg"]) / 2
    torch.testing.assert_close(after.state[weight]["exp_avg"], mean)
    torch.testing.assert_close(after.state[bias]["exp_avg"], before.state[source[1].bias]["exp_avg"])
    plain, tied = after.param_groups
    assert (plain["lr"], tied["lr"]) == (0.05, 0.025)
    assert (plain["weight_decay"], tied["weight_decay"]) == (0.01, 0.0)


def test_saved_numbers_are_positions_whatever_they_are() -> None:
    source, target = make(), make()
    before = make_optimizer(source, adamw)
    source(torch.randn(3, 4)).square().sum().backward()
    before.step()
    saved = before.state_dict()
    renamed = dict(zip(saved["param_groups"][0]["params"], (9, 8, 7, 6), strict=True))
    saved["state"] = {renamed[number]: state for number, state in saved["state"].items()}
    saved["param_groups"][0]["params"] = [9, 8, 7, 6]
    origins = migrate_values(source, target)
    after = make_optimizer(target, adamw)
    after.load_state_dict(migrate_optimizer(saved, before, after, (names(source), names(target)), origins))
    torch.testing.assert_close(after.state[target[1].bias]["exp_avg"], before.state[source[1].bias]["exp_avg"])


def test_another_optimizer_is_refused() -> None:
    source = make()
    saved = torch.optim.AdamW(list(source.parameters())[:2]).state_dict()
    fresh = make_optimizer(source, adamw)
    with pytest.raises(ConfigError, match=r"\[2\] parameters in its groups, and the one of this config \[4\]"):
        migrate_optimizer(saved, fresh, fresh, (names(source), names(source)), {})


def test_lists_of_a_schedule_get_one_entry_for_each_group() -> None:
    before = [{"lr": 0.05, "initial_lr": 0.1, "lr_scale": 1.0}]
    after = [*before, {"lr": 0.025, "initial_lr": 0.05, "lr_scale": 0.5}]
    moved = migrate_schedule({"base_lrs": [0.1], "_last_lr": [0.05], "last_epoch": 3}, before, after)
    assert moved == {"base_lrs": [0.1, 0.05], "_last_lr": [0.05, 0.025], "last_epoch": 3}
