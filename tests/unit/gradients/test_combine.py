"""Combinations of per-use gradients: weights by hand, PCGrad as its authors write it, and what is refused."""

from __future__ import annotations

import builtins
import itertools
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ConfigError
from lightning_tying.gradients.catch import catch_uses
from lightning_tying.gradients.combining.combine import make_combination

W = ParameterName("W")


class Towers(nn.Module):
    """Linear layers, side by side, that share their weight."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.towers = nn.ModuleList(nn.Linear(5, 4, bias=False, dtype=torch.float64) for _ in range(count))
        tie(self, {"share": ["towers.{i}.weight = W"]})

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        pairs = zip(self.towers, inputs, targets, strict=True)
        return torch.stack([functional.mse_loss(tower(x), y) for tower, x, y in pairs]).sum()


def make(count: int, seed: int = 0) -> tuple[Towers, Tensor, Tensor, list[Tensor]]:
    """Towers, data, and the gradient that each tower alone gives."""
    torch.manual_seed(seed)
    towers = Towers(count)
    inputs = torch.randn(count, 8, 5, dtype=torch.float64)
    targets = torch.randn(count, 8, 4, dtype=torch.float64) * torch.arange(1, count + 1)[:, None, None]
    return towers, inputs, targets, find_alone(towers, inputs, targets)


def find_alone(towers: Towers, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    weight = towers.towers[0].weight
    return [
        torch.autograd.grad(functional.mse_loss(functional.linear(x, weight), y), weight)[0]
        for x, y in zip(inputs, targets, strict=True)
    ]


def combine(towers: Towers, inputs: Tensor, targets: Tensor, name: Any, loss_scale: float = 1.0) -> Tensor:
    combination = make_combination(name)
    assert combination is not None
    sink: Any = combination.make_sink()
    weight = towers.towers[0].weight
    with catch_uses(towers, groups=[W], sink=sink):
        (towers(inputs, targets) * loss_scale).backward()
    assert weight.grad is not None
    weight.grad /= loss_scale
    combination.write(sink, {W: weight}, 1 / loss_scale)
    return weight.grad


def pcgrad(gradients: list[Tensor], orders: list[tuple[int, ...]]) -> Tensor:
    """Algorithm 1 of Gradient Surgery for Multi-Task Learning; for each gradient an order of the others."""
    projected: list[Tensor] = []
    for number, order in enumerate(orders):
        gradient = gradients[number].clone()
        for other in order:
            product = (gradient * gradients[other]).sum()
            if product < 0:
                gradient -= product / gradients[other].square().sum() * gradients[other]
        projected.append(gradient)
    return torch.stack(projected).sum(0)


def test_pcgrad_equals_its_reference() -> None:
    for seed in range(8):
        towers, inputs, targets, alone = make(2, seed)
        found = combine(towers, inputs, targets, "pcgrad")
        torch.testing.assert_close(found, pcgrad(alone, [(1,), (0,)]), rtol=1e-9, atol=1e-12)


def test_pcgrad_projects_opposed_gradients() -> None:
    towers, inputs, targets, _ = make(2)
    inputs = inputs[:1].expand(2, -1, -1)
    targets = torch.stack([targets[0], -3 * targets[0]])
    alone = find_alone(towers, inputs, targets)
    assert (alone[0] * alone[1]).sum() < 0
    found = combine(towers, inputs, targets, "PCGrad")
    torch.testing.assert_close(found, pcgrad(alone, [(1,), (0,)]), rtol=1e-9, atol=1e-12)
    assert not torch.allclose(found, alone[0] + alone[1])


def test_pcgrad_of_three_uses_is_one_of_the_orders() -> None:
    towers, inputs, targets, _ = make(3, seed=5)
    inputs = inputs[:1].expand(3, -1, -1)
    targets = torch.stack([targets[0], -3 * targets[0], targets[2]])
    alone = find_alone(towers, inputs, targets)
    found = combine(towers, inputs, targets, "pcgrad")
    orders = [list(itertools.permutations([other for other in range(3) if other != number])) for number in range(3)]
    possible = [pcgrad(alone, list(each)) for each in itertools.product(*orders)]
    assert any(torch.allclose(found, each, rtol=1e-9) for each in possible)


@pytest.mark.parametrize(("name", "weight"), [("mean", 1 / 3), ("sqrt", 3**-0.5)])
def test_uniform_weights_divide_by_the_number_of_uses(name: str, weight: float) -> None:
    towers, inputs, targets, alone = make(3)
    torch.testing.assert_close(combine(towers, inputs, targets, name), weight * torch.stack(alone).sum(0))


def test_balanced_uses_have_the_mean_norm() -> None:
    towers, inputs, targets, alone = make(3)
    mean = torch.stack([each.norm() for each in alone]).mean()
    expected = torch.stack([each / each.norm() * mean for each in alone]).sum(0)
    torch.testing.assert_close(combine(towers, inputs, targets, "norm_balanced"), expected)


def test_a_loss_scale_changes_nothing() -> None:
    towers, inputs, targets, _ = make(3)
    plain = combine(towers, inputs, targets, "norm_balanced").clone()
    towers.zero_grad()
    torch.testing.assert_close(combine(towers, inputs, targets, "norm_balanced", loss_scale=1024.0), plain)


def test_what_belongs_to_no_use_stays() -> None:
    towers, inputs, targets, _ = make(2)
    plain = combine(towers, inputs, targets, "norm_balanced").clone()
    towers.zero_grad()
    weight = towers.towers[0].weight
    weight.grad = torch.ones_like(weight)
    torch.testing.assert_close(combine(towers, inputs, targets, "norm_balanced"), plain + 1)


def test_a_gradient_that_is_not_finite_is_left_alone() -> None:
    towers, inputs, targets, _ = make(2)
    inputs[1, 0, 0] = torch.inf
    weight = towers.towers[0].weight
    towers(inputs, targets).backward()
    expected = weight.grad.clone()
    towers.zero_grad()
    found = combine(towers, inputs, targets, "pcgrad")
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert not found.isfinite().all()


def test_the_random_numbers_of_the_training_are_not_touched() -> None:
    towers, inputs, targets, _ = make(3)
    before = torch.random.get_rng_state()
    combine(towers, inputs, targets, "pcgrad")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_sum_needs_nothing() -> None:
    assert make_combination("sum") is None


def test_combinations_can_be_pickled() -> None:
    for name in ("mean", "norm_balanced", "pcgrad", {"name": "krum", "n_byzantine": 1}):
        pickle.loads(pickle.dumps(make_combination(name)))


def test_names_are_taken_in_any_case() -> None:
    for name in ("aligned_mtl", "AlignedMTL", "aligned-mtl"):
        assert make_combination(name) is not None


@pytest.mark.parametrize(
    ("combine", "told"),
    [
        ("pcgard", "Did you mean `pcgrad`?"),
        ("nonsense", "Known: sum, mean, sqrt, norm_balanced, of torchjd: "),
        ({"name": "krum"}, "n_byzantine"),
        ({"name": "mean", "c": 1}, "`mean` takes no options; remove c"),
        ({"c": 1}, "has no name"),
    ],
)
def test_what_is_wrong_is_said_at_once(combine: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("?", "\\?")):
        make_combination(combine)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("torchjd"):
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ConfigError, match=r"lightning-tying\[jd\]"):
        make_combination("pcgrad")
    assert make_combination("mean") is not None
