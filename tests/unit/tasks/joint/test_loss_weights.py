"""The weights of members' losses: fixed, or learned by uncertainty."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from lightning_tying.data import JointData
from lightning_tying.tasks.joint.loss_weights import UncertaintyWeights, make_loss_weights
from tests.unit.tasks.joint.joint_runs import make_data, make_joint, run


def losses(**values: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in values.items()}


def test_fixed_weights_scale_losses_and_their_gradients() -> None:
    given = losses(a=2.0, b=5.0)
    total = make_loss_weights({"b": 0.5}, ["a", "b", "c"])(given)
    total.backward()
    assert float(total) == 2.0 + 0.5 * 5.0
    assert [float(each.grad) for each in given.values()] == [1.0, 0.5]  # pyright: ignore[reportArgumentType]


def test_uncertainty_is_the_formula_of_the_paper() -> None:
    weigh = UncertaintyWeights(["a", "b"])
    with torch.no_grad():
        weigh.log_variances["a"].fill_(2 * math.log(3.0))  # σ = 3
    total = weigh(losses(a=2.0, b=5.0))
    assert float(total) == pytest.approx(2.0 / 9 + math.log(3.0) + 5.0)  # L / σ² + log σ
    assert weigh.current()["a"] == pytest.approx(1 / 9)


def test_learned_weights_come_to_the_optimum() -> None:
    weigh = UncertaintyWeights(["a", "b"]).double()
    optimizer = torch.optim.SGD(weigh.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        weigh(losses(a=4.0, b=0.1)).backward()
        optimizer.step()
    assert weigh.current()["a"] == pytest.approx(1 / 8, rel=1e-4)
    assert weigh.current()["b"] == pytest.approx(5.0, rel=1e-4)


def test_a_member_without_a_loss_in_a_step_keeps_its_weight() -> None:
    weigh = UncertaintyWeights(["a", "b"])
    weigh(losses(a=4.0)).backward()
    assert weigh.log_variances["b"].grad is None


def test_uncertainty_is_trained_and_logged_with_the_models(tmp_path: Path) -> None:
    joint = make_joint(weights="uncertainty")
    trainer = run(tmp_path, joint, JointData(make_data()))
    found = [float(trainer.callback_metrics[f"tying/weight/{name}"]) for name in "ab"]
    assert all(each != 1 for each in found)
    assert found[0] > found[1]  # three classes have a smaller loss than five
