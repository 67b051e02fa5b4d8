"""The arithmetic of sharing in time: functions on tensors are the formulas of their papers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim.swa_utils import get_ema_avg_fn

from lightning_tying import tie
from lightning_tying.errors import ConfigError
from lightning_tying.lowering.members import find_members
from lightning_tying.lowering.sync.average import make_rows, mix
from lightning_tying.lowering.sync.copy import check_copy, write_copy
from lightning_tying.lowering.sync.ema import follow
from lightning_tying.lowering.sync.lookahead import look_ahead
from lightning_tying.lowering.sync.moments import average_moments, find_states, list_moments, reset_moments
from lightning_tying.lowering.sync.places import find_parameters, require_parameter

NUMBERS = st.lists(st.floats(0, 10, allow_subnormal=False), min_size=2, max_size=5)


@given(NUMBERS)
def test_rows_are_shares_of_the_samples(samples: list[float]) -> None:
    members = [str(i) for i in range(len(samples))]
    rows = make_rows("samples", members, members, samples)
    assert len(set(rows)) == 1
    assert sum(rows[0]) == pytest.approx(1)
    total = sum(samples)
    assert rows[0] == pytest.approx([n / total for n in samples] if total else [1 / len(samples)] * len(samples))


@given(st.permutations(["a", "b", "c"]), st.integers(1, 3))
def test_rows_of_a_part_of_the_members_are_scaled_up(order: list[str], size: int) -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 5.0}
    present = order[:size]
    [row, *_] = make_rows(weights, ("a", "b", "c"), present, ())
    assert row == pytest.approx([weights[name] / sum(weights[each] for each in present) for name in present])


def test_a_doubly_stochastic_matrix_keeps_the_mean_and_brings_values_together() -> None:
    matrix = ((0.5, 0.5, 0.0), (0.5, 0.25, 0.25), (0.0, 0.25, 0.75))
    values = [torch.randn(4, 3, dtype=torch.float64) for _ in range(3)]
    mean = torch.stack(values).mean(0)
    for _ in range(60):
        values = mix(values, make_rows(matrix, "abc", "abc", ()))
        torch.testing.assert_close(torch.stack(values).mean(0), mean)
    assert all(torch.allclose(value, mean, atol=1e-5) for value in values)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_values_of_half_precision_are_added_in_float32(dtype: torch.dtype) -> None:
    values = [torch.full((2,), 1.0, dtype=dtype) for _ in range(4)]
    values[0] += torch.finfo(dtype).eps * 4  # a quarter of it is lost where sums are rounded on the way
    [mixed, *_] = mix(values, ((0.25,) * 4,) * 4)
    assert mixed.dtype == dtype
    assert torch.equal(mixed, torch.stack(values).double().mean(0).to(dtype))


def test_ema_is_torchs() -> None:
    average, value = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    wanted = get_ema_avg_fn(0.93)(average.clone(), value, torch.tensor(1))
    torch.testing.assert_close(follow(average, value, 0.93), wanted, rtol=1e-14, atol=1e-14)
    assert torch.equal(follow(average, value, 0.0), value)
    assert torch.equal(follow(average, value, 1.0), average)


def test_lookahead_interpolates() -> None:
    slow, fast = torch.tensor([0.0, 4.0]), torch.tensor([1.0, 2.0])
    assert look_ahead(slow, fast, 0.5).tolist() == [0.5, 3.0]
    assert torch.equal(look_ahead(slow, fast, 1.0), fast)


def run_adam(parameters: list[nn.Parameter]) -> torch.optim.Adam:
    optimizer = torch.optim.Adam(parameters)
    for number, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, number + 1.0)
    optimizer.step()
    return optimizer


def test_moments_are_averaged_and_steps_are_not() -> None:
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    optimizer = run_adam(parameters)
    states = [state for parameter in parameters for state in find_states([optimizer], parameter)]
    assert list_moments(states) == ["exp_avg", "exp_avg_sq"]
    states[0]["step"] += 7
    average_moments(states, ((0.5, 0.5),) * 2)
    for state in states:
        torch.testing.assert_close(state["exp_avg"], torch.full((2,), 0.1 * (1 + 2) / 2))
    assert [float(state["step"]) for state in states] == [8, 1]
    reset_moments([optimizer], parameters[0])
    assert list(find_states([optimizer], parameters[0])) == []
    assert len(list(find_states([optimizer], parameters[1]))) == 1


def test_states_of_other_shapes_are_left_alone() -> None:
    assert list_moments([{"row": torch.zeros(2)}, {"row": torch.zeros(3)}]) == []
    assert list_moments([{"a": torch.zeros(2), "n": 3}, {"a": torch.zeros(2), "n": 3}]) == ["a"]
    assert list_moments([{"momentum_buffer": None}, {"momentum_buffer": torch.zeros(2)}]) == []


def two_layers(spec: str) -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    tie(module, f"share: [{spec}]")
    return module


def test_parameters_are_found_once_and_behind_computed_sites() -> None:
    module = two_layers("'{i:0|1}.weight = W + low_rank(1)'")
    found = find_parameters(find_members(module), ["0.weight", "1.weight", "2.weight"])
    assert {id(parameter) for parameter in found.values()} == {id(parameter) for parameter in module.parameters()}
    with pytest.raises(ConfigError, match=r"sync\[0\]: 0\.weight is computed"):
        require_parameter(find_members(module), "0.weight", "sync[0]")


@pytest.mark.parametrize(
    ("then", "spec", "message"),
    [
        (None, "'{i:0|1}.weight = 2 * W'", "is computed from shared parameters"),
        (None, "'{i:0|1}.weight = W'", "one parameter, and the copy has two values"),
        ("freeze", "'{i}.weight = W'", "shares its parameter with 2.weight"),
        ("fit", "'{i:0|1}.weight = W'", "needs a computed site among"),
    ],
)
def test_a_copy_that_does_not_fit_is_refused(then: str | None, spec: str, message: str) -> None:
    module = two_layers(spec)
    two = message.startswith("one parameter")
    values = {"0.weight": torch.zeros(2, 2), "1.weight": torch.ones(2, 2) if two else torch.zeros(2, 2)}
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with pytest.raises(ConfigError) as caught:
        check_copy(module, values, then, "sync[0]")  # pyright: ignore[reportArgumentType]  # one of its words
    assert message in str(caught.value)
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


def test_fit_solves_what_computes_the_copied_sites() -> None:
    module = two_layers("{sites: '{i:0|1}.weight', equals: 'W + low_rank(2)', init: {W: mean, low_rank: svd}}")
    values = {"0.weight": torch.randn(2, 2), "1.weight": torch.randn(2, 2)}
    check_copy(module, values, "fit", "sync[0]")
    write_copy(module, values, "fit")
    for i, name in enumerate(values):
        torch.testing.assert_close(module[i].weight, values[name])  # pyright: ignore[reportIndexIssue]  # a Sequential
