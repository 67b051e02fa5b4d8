"""Fits of functions: what they find makes the site's value, or comes as near as theory says."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import call

SIZE = st.integers(1, 6)


def draw(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64)


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


@given(SIZE, SIZE, st.integers(1, 2))
def test_low_rank_at_full_rank_rebuilds(rows, columns, depth):
    shape = (rows, columns, depth)
    called = call("low_rank", shape, r=min(rows, columns * depth))
    target = draw(*shape)
    a, b = called.solve(target, None, None).own
    close(called(a, b), target)


def test_low_rank_is_cut_as_eckart_and_young_say():
    called = call("low_rank", (9, 7), r=3)
    target = draw(9, 7)
    a, b = called.solve(target, None, None).own
    values = torch.linalg.svdvals(target)
    close((called(a, b) - target).norm(), values[3:].norm())
    close(a @ a.T, torch.eye(3, dtype=torch.float64))


def test_low_rank_with_one_side_settled_is_least_squares():
    called = call("low_rank", (9, 7), r=3)
    target, (a, b) = draw(9, 7), call("low_rank", (9, 7), r=3).draw()
    assert called.solve(target, a, None) is None
    close(called.fit(target, {0: a})[1], target @ torch.linalg.pinv(a))
    close(called.fit(target, {1: b})[0], torch.linalg.pinv(b) @ target)


@pytest.mark.parametrize("dim", [None, 0, -1])
def test_scale_matches_norms_and_divides(dim):
    called = call("scale", (4, 5), None, dim=dim)
    target, (x, s) = draw(4, 5), called.draw()
    found = called.solve(target, x, None).own[0]
    value = called(x, found)
    others = {None: (0, 1), 0: (1,), -1: (0,)}[dim]
    close(value.norm(dim=others), target.norm(dim=others))
    assert called.solve(target, None, s) is None
    close(called(called.fit(target, {1: s})[0], s), target)


def test_scale_of_zeros_is_one():
    called = call("scale", (2, 2), None, dim=0)
    zeros = torch.zeros(2, 2, dtype=torch.float64)
    assert called.solve(draw(2, 2), zeros, None).own[0].tolist() == [1, 1]


@given(st.integers(1, 4), st.integers(1, 5), st.sampled_from([(3, 4), (2, 3, 2)]))
def test_basis_of_full_ratio_is_exact(count, rows, rest):
    targets = [draw(rows, *rest) for _ in range(count)]
    r = min(count * rows, prod(rest))
    called = call("basis", (rows, *rest), None, r=r)
    x, coefficients = called.transform.solve_joint(targets, called.shapes, None)
    for target, c in zip(targets, coefficients, strict=True):
        close(called(x, c), target)
        close(called.fit(target, {0: x})[1], c)


def test_basis_is_the_best_of_its_rank():
    targets = [draw(6, 8) for _ in range(3)]
    called = call("basis", (6, 8), None, r=5)
    x, coefficients = called.transform.solve_joint(targets, called.shapes, None)
    missed = torch.stack([called(x, c) - target for target, c in zip(targets, coefficients, strict=True)]).norm()
    close(missed, torch.linalg.svdvals(torch.cat(targets))[5:].norm())


def test_whitening_minimizes_the_error_of_outputs():
    """With L Lᵀ = Σ XᵀX the error ‖(W − V) L‖ is that of the SVD of W L, so no other basis has a smaller one."""
    inputs = draw(50, 8) @ torch.diag(torch.logspace(0, 2, 8, dtype=torch.float64))
    whitening = torch.linalg.cholesky(inputs.T @ inputs)
    targets = [draw(6, 8) for _ in range(3)]
    called = call("basis", (6, 8), None, r=5)

    def missed(found: tuple) -> torch.Tensor:
        x, coefficients = found
        return torch.stack([inputs @ (called(x, c) - t).T for t, c in zip(targets, coefficients, strict=True)]).norm()

    best = missed(called.transform.solve_joint(targets, called.shapes, whitening))
    close(best, torch.linalg.svdvals(torch.cat(targets) @ whitening)[5:].norm(), 1e-8)
    assert best < missed(called.transform.solve_joint(targets, called.shapes, None))


@pytest.mark.parametrize("block", [None, 6])
@pytest.mark.parametrize("whitened", [False, True])
def test_mix_of_as_many_templates_as_sites_is_exact(block, whitened):
    targets = [draw(4, 3) for _ in range(3)]
    k = 3 if block is None else 6
    called = call("mix", (4, 3), None, k=k, block=block)
    whitening = torch.linalg.cholesky(torch.diag(draw(3) ** 2 + 1))
    joint = called.transform.solve_joint(targets, called.shapes, whitening if whitened and block is None else None)
    x, coefficients = joint
    for target, a in zip(targets, coefficients, strict=True):
        close(called(x, a), target)


def test_more_templates_than_sites_stay_distinguishable():
    targets = [draw(4, 3) for _ in range(2)]
    called = call("mix", (4, 3), None, k=5)
    x, coefficients = called.transform.solve_joint(targets, called.shapes, None)
    for target, a in zip(targets, coefficients, strict=True):
        close(called(x, a), target)
    spare = torch.stack(list(coefficients))[:, 2:]
    assert torch.linalg.matrix_rank(spare) == 2
    assert (spare.abs().sum(0) > 0.1).all()


@pytest.mark.parametrize("arguments", [{"softmax": True}, {"top": 1}])
def test_mixtures_whose_coefficients_are_not_free_have_no_joint_fit(arguments):
    called = call("mix", (4, 3), None, k=2, **arguments)
    assert called.transform.solve_joint([draw(4, 3)], called.shapes, None) is None


@pytest.mark.parametrize(("rows", "cols", "rank"), [((3, 4), (2, 5), 10), ((2, 3, 4), (2, 2, 2), 12), ((4,), (3,), 1)])
def test_tensor_train_of_full_rank_is_exact(rows, cols, rank):
    height = prod(rows) - 1
    called = call("tt", (height, prod(cols)), *[None] * len(rows), rows=rows, cols=cols, rank=rank)
    target = draw(height, prod(cols))
    cores = called.solve(target, *[None] * len(rows)).operands
    close(called(*cores), target)
    norms = torch.stack([core.norm() for core in cores])
    close(norms, norms.mean().expand(len(cores)))


def test_tensor_train_finds_a_train():
    called = call("tt", (12, 8), None, None, None, rows=(2, 2, 3), cols=(2, 2, 2), rank=2)
    target = called(*called.draw())
    close(called(*called.solve(target, None, None, None).operands), target)


def test_tensor_train_with_one_open_core_is_least_squares():
    called = call("tt", (6, 4), None, None, rows=(2, 3), cols=(2, 2), rank=2)
    cores = called.draw()
    target = called(*cores)
    assert called.solve(target, cores[0], None) is None
    close(called.fit(target, {0: cores[0]})[1], cores[1])


@pytest.mark.parametrize("kind", ["dense", "sparse", "fastfood"])
def test_project_is_least_squares(kind):
    called = call("project", (12, 5), (4,), kind=kind, cells=9)
    (x,) = called.draw()
    close(called.fit(called(x), {})[0], x)


def test_kron_with_one_side_settled_is_least_squares():
    called = call("kron", (6, 8), (2, 4), None)
    x, y = called.draw()
    target = called(x, y)
    close(called.fit(target, {0: x})[1], y)
    left, right = (called.fit(target, {})[slot] for slot in (0, 1))
    close(called(left, right), target)


@pytest.mark.parametrize(
    ("function", "arguments"), [("normalize", {}), ("drop", {"p": 0.5}), ("stop", {}), ("scale_grad", {"a": 0.5})]
)
def test_what_passes_on(function, arguments):
    called = call(function, (3, 2), None, **arguments)
    target = draw(3, 2)
    close(called.fit(target, {})[0], target)


def test_scale_with_neither_settled_is_the_site_itself():
    called = call("scale", (3, 4), None, dim=1)
    target = draw(3, 4)
    solution = called.solve(target, None, None)
    close(called(solution.operands[0], solution.own[0]), target)
    assert solution.own[0].tolist() == [1.0] * 4
