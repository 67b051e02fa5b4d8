"""Expressions undone on the way to one parameter."""

from __future__ import annotations

import torch

from lightning_tying.algebra.expression import Constant, Sum
from lightning_tying.algebra.fits.estimate import Estimate
from lightning_tying.algebra.fits.solve import compute_value, solve_expression, substitute
from tests.unit.lowering.hand_graphs import add, call, matmul, name, read, times


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def undo(expression, wanted, target, **settled):
    known = {name(text): value for text, value in settled.items()}
    return {
        str(each): estimate.value
        for each, estimate in solve_expression(expression, name(wanted), Estimate(target), known)
    }


def test_signs_and_numbers_are_undone():
    w, v, target = read("W", 3, 4), draw(3, 4, seed=1), draw(3, 4)
    expression = Sum((3, 4), (times(Constant((), 2.0), read("V", 3, 4)), w), (1, -1))
    torch.testing.assert_close(undo(expression, "W", target, V=v)["W"], 2 * v - target)
    torch.testing.assert_close(undo(expression, "V", target, W=v)["V"], (target + v) / 2)


def test_an_open_term_counts_zero_and_an_open_factor_one():
    target = draw(3, 4)
    expression = add(read("W", 3, 4), times(read("U", 3, 4), read("V", 3, 4)))
    assert torch.equal(undo(expression, "W", target)["W"], target)
    assert torch.equal(undo(expression, "V", target)["V"], target)
    torch.testing.assert_close(undo(expression, "V", target, W=target / 2, U=target)["V"], torch.full_like(target, 0.5))


def test_a_number_added_is_the_mean_of_what_is_left():
    target = draw(3, 4)
    expression = add(read("W", 3, 4), read("c"))
    assert float(undo(expression, "c", target, W=target - 3)["c"]) == 3.0


def test_either_side_of_a_product_is_least_squares():
    x, y = draw(6, 3), draw(3, 5, seed=1)
    expression = matmul(read("X", 6, 3), read("Y", 3, 5))
    torch.testing.assert_close(undo(expression, "X", x @ y, Y=y)["X"], x)
    torch.testing.assert_close(undo(expression, "Y", x @ y, X=x)["Y"], y)
    found = undo(expression, "X", x @ y)
    assert found.keys() == {"X", "Y"}
    torch.testing.assert_close(found["X"] @ found["Y"], x @ y)


def test_only_the_way_to_the_wanted_one_is_gone():
    expression = add(matmul(read("X", 4, 2), read("Y", 2, 3)), read("W", 4, 3))
    assert undo(expression, "W", draw(4, 3)).keys() == {"W"}
    assert undo(expression, "X", draw(4, 3)).keys() == {"X", "Y"}


def test_beside_the_wanted_one_only_the_first_open_term_is_solved():
    expression = matmul(read("X", 4, 2), add(read("Y", 2, 3), read("Z", 2, 3)))
    assert undo(expression, "X", draw(4, 3)).keys() == {"X", "Y"}


def test_a_parameter_read_twice_is_found_twice():
    expression = call("concat", (6, 4), read("W", 3, 4), times(Constant((), -1), read("W", 3, 4)), dim=0)
    target = draw(6, 4)
    found = solve_expression(expression, name("W"), Estimate(target), {})
    assert [str(each) for each, _ in found] == ["W", "W"]
    assert torch.equal(found[0][1].value, target[:3]) and torch.equal(found[1][1].value, -target[3:])


def test_what_passes_on_is_gone_through():
    target = draw(4, 3)
    expression = call("drop", (4, 3), call("stop", (4, 3), call("t", (4, 3), read("W", 3, 4))), p=0.5)
    assert torch.equal(undo(expression, "W", target)["W"], target.T)


def test_counts_go_through_nested_maps():
    inner = call("repeat", (8,), read("W", 4), n=2, dim=0, block=1)
    expression = call("slice", (5,), inner, start=0, stop=5, dim=0)
    ((_, estimate),) = solve_expression(expression, name("W"), Estimate(draw(5)), {})
    assert estimate.counts is not None and estimate.counts.tolist() == [2, 2, 1, 0]
    target = draw(5)
    torch.testing.assert_close(
        estimate.value, torch.stack([target[:2].mean(), target[2:4].mean(), target[4], target[0] * 0])
    )


def test_a_settled_parameter_is_not_solved():
    assert undo(read("W", 2), "W", draw(2), W=draw(2)) == {}


def test_a_value_needs_all_its_parameters():
    expression = add(read("W", 2), read("V", 2))
    like = torch.empty(0, dtype=torch.float64)
    assert compute_value(expression, {name("W"): draw(2)}, like) is None
    value = compute_value(expression, {name("W"): draw(2), name("V"): torch.ones(2, dtype=torch.bfloat16)}, like)
    assert value is not None and torch.equal(value, draw(2) + 1)


def test_a_node_is_replaced_wherever_it_stands():
    inner, new = call("t", (3, 3), read("W", 3, 3)), read("N", 3, 3)
    expression = add(times(read("V", 3, 3), inner), matmul(call("stop", (3, 3), inner), read("V", 3, 3)))
    assert [str(each) for each in substitute(expression, inner, new).parameters] == ["V", "N"]
    assert [str(each) for each in expression.parameters] == ["V", "W"]
