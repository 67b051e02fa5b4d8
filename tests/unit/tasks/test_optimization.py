"""Optimizers: policies of the spec become parameter groups, schedules keep them."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.errors import ConfigError
from lightning_tying.models import DecoderLM
from lightning_tying.tasks.optimizers.optimization import WarmupCosine, configure, default_optimizer, make_optimizer

SPEC = {
    "share": [{"tie": ["embed.weight", "head.weight"], "name": "vocabulary"}],
    "parameters": {"vocabulary": {"lr": 0.5, "weight_decay": 0}},
}


def make_network() -> nn.Module:
    network = DecoderLM(20, 16, 1, 2)
    tie(network, SPEC)
    return network


def test_every_trainable_parameter_stands_once_in_the_optimizer() -> None:
    network = make_network()
    network.norm.weight.requires_grad_(False)
    optimizer = make_optimizer(network, default_optimizer)
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters() if p.requires_grad)


def test_policies_multiply_the_optimizers_own_settings() -> None:
    optimizer = make_optimizer(make_network(), lambda params: torch.optim.AdamW(params, lr=0.2, weight_decay=0.1))
    settings = {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    assert settings == {(0.2, 0.1), (0.1, 0.0)}


@pytest.mark.parametrize(
    "schedule",
    [
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.2, total_steps=10),
        lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10),
        WarmupCosine,
    ],
)
def test_schedules_keep_the_ratio_of_the_policies(schedule: object) -> None:
    network = make_network()
    made = configure(
        network,
        lambda params: torch.optim.AdamW(params, lr=0.2),
        schedule,  # type: ignore[arg-type]
        total_steps=lambda: 10,
        monitor="val/loss",
    )
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]  # type: ignore[index]
    for _ in range(9):
        rates = sorted(group["lr"] for group in optimizer.param_groups)
        assert rates[0] == pytest.approx(rates[1] / 2)
        optimizer.step()
        scheduler.step()


def test_warmup_cosine_rises_then_falls() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = WarmupCosine(optimizer, warmup=0.3, final=0.1)
    schedule.spread_over(10)
    rates = []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[3] == pytest.approx(1.0)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[3:]))
    assert rates[10] == pytest.approx(0.1)


def test_warmup_cosine_goes_on_from_its_state() -> None:
    def make() -> tuple[torch.optim.Optimizer, WarmupCosine]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = WarmupCosine(optimizer)
        schedule.spread_over(10)
        return optimizer, schedule

    first, schedule = make()
    for _ in range(4):
        first.step()
        schedule.step()
    second, resumed = make()
    resumed.load_state_dict(schedule.state_dict())
    second.load_state_dict(first.state_dict())
    for optimizer, each in ((first, schedule), (second, resumed)):
        optimizer.step()
        each.step()
    assert first.param_groups[0]["lr"] == second.param_groups[0]["lr"]


def test_a_schedule_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_steps"):
        configure(nn.Linear(1, 1), default_optimizer, WarmupCosine, total_steps=lambda: math.inf, monitor="x")


def test_a_part_is_from_0_to_1() -> None:
    with pytest.raises(ConfigError, match="`warmup` is a part"):
        WarmupCosine(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0), warmup=2)


def test_nothing_to_train_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to fit"):
        make_optimizer(nn.Linear(2, 2).requires_grad_(False), default_optimizer)


def test_reduce_on_plateau_watches_the_tasks_metric() -> None:
    made = configure(
        nn.Linear(2, 2),
        default_optimizer,
        torch.optim.lr_scheduler.ReduceLROnPlateau,
        total_steps=lambda: 10,
        monitor="val/accuracy",
    )
    assert made["lr_scheduler"]["monitor"] == "val/accuracy"  # type: ignore[index]
    assert made["lr_scheduler"]["interval"] == "epoch"  # type: ignore[index]


def test_a_longer_run_follows_its_own_curve_and_says_so() -> None:
    def make(total: int) -> tuple[torch.optim.Optimizer, WarmupCosine]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = WarmupCosine(optimizer)
        schedule.spread_over(total)
        return optimizer, schedule

    def step(optimizer: torch.optim.Optimizer, schedule: WarmupCosine, times: int) -> None:
        for _ in range(times):
            optimizer.step()
            schedule.step()

    first, short = make(10)
    step(first, short, 10)
    second, long = make(20)
    second.load_state_dict(first.state_dict())
    with pytest.warns(UserWarning, match="falls over 10 steps, this run's over 20. From step 10"):
        long.load_state_dict(short.state_dict())
    whole_optimizer, whole = make(20)
    step(whole_optimizer, whole, 10)
    assert second.param_groups[0]["lr"] == long.get_last_lr()[0] == whole_optimizer.param_groups[0]["lr"]
    step(second, long, 5)
    step(whole_optimizer, whole, 5)
    assert second.param_groups[0]["lr"] == whole_optimizer.param_groups[0]["lr"]
