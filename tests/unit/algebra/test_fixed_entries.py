"""Fixed numbers against the language's formulas, reckoned cell by cell in plain Python."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.algebra.maps.fixed_entries import (
    DenseProjection,
    FastFoodFactors,
    Interpolation,
    SparseProjection,
    VeraMatrix,
    hadamard,
)
from lightning_tying.algebra.primitives.fixed import Fixed
from lightning_tying.algebra.primitives.node import Inputs
from lightning_tying.spec.hashing import hash_values
from tests.calls import call

SIZES = st.integers(1, 7)


@given(st.integers(-5, 5), st.sampled_from("AB"), SIZES, SIZES)
def test_vera(seed, letter, rows, columns):
    wanted = [
        [math.sqrt(3 / columns) * (2 * hash_values(seed, letter, row, column) / 2**63 - 1) for column in range(columns)]
        for row in range(rows)
    ]
    (found,) = VeraMatrix(seed, letter, rows, columns).make(torch.float64)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-14, atol=1e-15)


def box_muller(seed: int, key: str, cell: int, column: int) -> float:
    first = (hash_values(seed, key, cell, column, 0) + 1) / 2**63
    second = hash_values(seed, key, cell, column, 1) / 2**63
    return math.sqrt(-2 * math.log(first)) * math.cos(2 * math.pi * second)


@given(st.integers(0, 9), st.text(max_size=5), SIZES, SIZES, st.integers(1, 100))
def test_dense(seed, key, rows, columns, total):
    wanted = [[box_muller(seed, key, i, j) / math.sqrt(total) for j in range(columns)] for i in range(rows)]
    (found,) = DenseProjection(seed, key, rows, columns, total).make(torch.float64)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64), rtol=1e-12, atol=1e-14)


@given(st.integers(0, 9), st.text(max_size=5), SIZES, SIZES, st.integers(1, 100))
def test_sparse(seed, key, rows, columns, total):
    wanted = torch.zeros(rows, columns, dtype=torch.float64)
    for i in range(rows):
        for j in range(columns):
            if (hash_values(seed, key, i, j, 0) + 1) / 2**63 < 1 / math.sqrt(total):
                sign = 1 - 2 * (hash_values(seed, key, i, j, 1) % 2)
                wanted[i, j] = sign * total**0.25 / math.sqrt(total)
    at, to, values = SparseProjection(seed, key, rows, columns, total).make(torch.float64)
    found = torch.zeros_like(wanted).index_put((at, to), values)
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("kind", ["dense", "sparse", "fastfood"])
def test_projections_have_the_variance_of_one_over_total(kind):
    total = 900
    called = call("project", (60, 50), (40,), kind=kind, cells=total)
    matrix = torch.stack([called(unit).reshape(-1) for unit in torch.eye(40, dtype=torch.float64)], 1)
    assert matrix.shape == (3000, 40)
    assert matrix.var().item() * total == pytest.approx(1, rel=0.05)
    assert abs(matrix.mean().item()) * math.sqrt(total) < 0.02
    columns = matrix.T @ matrix / 3000 * total
    off = columns - torch.diag(columns.diagonal())
    assert off.abs().max() < 0.25


def test_fastfood_is_its_own_formula():
    """Block by block S H G Π H B with dense matrices."""
    rows, columns, total = 11, 3, 50
    signs, order, normal, scale, left, right = FastFoodFactors(7, "k", rows, columns, total).make(torch.float64)
    assert torch.equal(torch.kron(left, right), hadamard(2))
    assert signs.shape == (3, 4)
    vector = torch.randn(columns, dtype=torch.float64)
    padded = torch.cat([vector, vector.new_zeros(1)])
    blocks = [
        torch.diag(scale[b]) @ hadamard(2) @ torch.diag(normal[b]) @ torch.eye(4, dtype=torch.float64)[order[b]]
        @ hadamard(2) @ torch.diag(signs[b]) @ padded
        for b in range(3)
    ]  # fmt: skip
    found = call("project", (rows,), (columns,), key="k", seed=7, kind="fastfood", cells=total)(vector)
    torch.testing.assert_close(found, torch.cat(blocks)[:rows], rtol=1e-12, atol=1e-13)
    assert signs.tolist() == [[1 - 2 * (hash_values(7, "k", b, j, "B") % 2) for j in range(4)] for b in range(3)]
    hashed = [[hash_values(7, "k", b, j, "P") for j in range(4)] for b in range(3)]
    assert order.tolist() == [sorted(range(4), key=row.__getitem__) for row in hashed]


@given(st.integers(1, 9), st.integers(1, 12))
def test_interpolation_equals_torch(size, out):
    (matrix,) = Interpolation(size, out).make(torch.float64)
    value = torch.randn(1, 2, size, dtype=torch.float64)
    wanted = torch.nn.functional.interpolate(value, out, mode="linear", align_corners=False)
    torch.testing.assert_close(value @ matrix.T, wanted, rtol=1e-12, atol=1e-12)


RECIPES = [
    VeraMatrix(1, "A", 5, 6),
    DenseProjection(1, "k", 5, 6, 30),
    SparseProjection(1, "k", 5, 6, 30),
    FastFoodFactors(1, "k", 5, 6, 30),
    Interpolation(5, 6),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: type(recipe).__name__)
def test_numbers_do_not_depend_on_dtype_device_or_mode(recipe):
    wanted = recipe.make(torch.float64)
    for dtype in (torch.float32, torch.bfloat16):
        for found, double in zip(recipe.make(dtype), wanted, strict=True):
            assert torch.equal(found, double.to(found.dtype))
    with torch.device("meta"):
        inside = recipe.make(torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        again = recipe.make(torch.float64)
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other, third in zip(wanted, inside, again, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)


def test_large_ones_are_made_in_parts(monkeypatch):
    recipe = DenseProjection(3, "key", 50, 9, 450)
    (whole,) = recipe.make(torch.float64)
    monkeypatch.setattr("lightning_tying.algebra.maps.fixed_entries._CHUNK", 20)
    assert torch.equal(recipe.make(torch.float64)[0], whole)
    monkeypatch.undo()
    sparse = SparseProjection(3, "key", 50, 9, 450)
    together = sparse.make(torch.float64)
    monkeypatch.setattr("lightning_tying.algebra.maps.fixed_entries._CHUNK", 20)
    assert all(torch.equal(one, other) for one, other in zip(sparse.make(torch.float64), together, strict=True))


def test_numbers_are_shared_kept_and_left_out_of_copies():
    one, other = (Fixed((5, 6), VeraMatrix(1, "A", 5, 6)) for _ in range(2))
    slots = Inputs([torch.zeros(1, dtype=torch.float64)])
    value = one.forward(slots)
    assert value.dtype == torch.float64
    assert one.forward(slots) is value
    assert other.forward(slots) is value
    for copied in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert copied.numbers._made == {}
        assert torch.equal(copied.forward(slots), value)
    assert len(pickle.dumps(Fixed((500, 600), VeraMatrix(1, "A", 500, 600)))) < 1000


def test_numbers_made_in_inference_mode_can_be_trained_with():
    node = call("vera", (4, 3), r=2, seed=991)
    with torch.inference_mode():
        node(*node.draw())
    slots = [slot.requires_grad_() for slot in node.draw()]
    node(*slots).sum().backward()
    assert all(slot.grad is not None for slot in slots)


@pytest.mark.parametrize(("function", "arguments"), [("vera", {"r": 2}), ("project", {"kind": "dense"})])
def test_prepared_numbers_are_found_by_a_trace(function, arguments):
    called = call(function, (4, 3), *([(5,)] if function == "project" else []), **arguments)
    called.node.prepare(torch.device("cpu"), torch.float32)
    slots = called.draw(dtype=torch.float32)
    wanted = called(*slots)
    compiled = torch.compile(lambda *given: called(*given), backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(*slots), wanted)
