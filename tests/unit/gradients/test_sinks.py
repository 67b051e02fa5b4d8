"""Sinks by themselves: norms, inner products and projections against plain formulas, and the projections' error."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.gradients.keys import UseKey
from lightning_tying.gradients.sinks import ExactSink, SketchSink, StreamingSink
from lightning_tying.gradients.sinks.arithmetic import as_whole, multiply_pairs, square_sum
from lightning_tying.gradients.sinks.measuring import MeasuringSink
from lightning_tying.gradients.sinks.projection import project, projection_error

W = ParameterName("W")


def feed(sink: MeasuringSink, gradients: list[Tensor]) -> MeasuringSink:
    """As a backward pass does: the last use first."""
    keys = [UseKey(W, f"layers.{number}.weight") for number in range(len(gradients))]
    sink.begin(keys)
    for key, gradient in reversed(list(zip(keys, gradients, strict=True))):
        sink.add(key, gradient)
    sink.add_sum(W, torch.stack(gradients).sum(0))
    return sink


def test_the_name_of_a_use() -> None:
    assert str(UseKey(W, "fc.weight")) == "fc.weight"
    assert str(UseKey(W, "fc.weight", 2)) == "fc.weight (call 2)"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("cells", [1, 5, 4096, 300_001])
def test_squared_norms(dtype: torch.dtype, cells: int) -> None:
    gradient = torch.randn(cells, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert float(square_sum(gradient)) == pytest.approx(float(gradient.double().square().sum()), rel=1e-6)


def test_inner_products_over_several_blocks() -> None:
    gradients = [torch.randn(700, 300, dtype=torch.float64) for _ in range(3)]
    gram, total = multiply_pairs(gradients)
    flat = torch.stack([each.flatten() for each in gradients])
    torch.testing.assert_close(gram, flat @ flat.T)
    torch.testing.assert_close(total, flat.sum(0).square().sum())


def test_sparse_gradients_are_made_dense() -> None:
    dense = torch.zeros(5, 3)
    dense[[1, 4]] = torch.randn(2, 3)
    assert torch.equal(as_whole(dense.to_sparse(1)), dense)


def test_a_small_gradient_is_its_own_projection() -> None:
    gradient = torch.randn(4, 5)
    assert torch.equal(project(gradient, 64)[:20], gradient.flatten().double())
    assert projection_error(20, 64) == 0


@pytest.mark.parametrize("cells", [2000, 70_000, 200_003])
def test_projections_are_linear_and_always_the_same(cells: int) -> None:
    one, other = torch.randn(2, cells, dtype=torch.float64)
    torch.testing.assert_close(project(one + 2 * other, 256), project(one, 256) + 2 * project(other, 256))
    assert torch.equal(project(one, 256), project(one.clone(), 256))


@pytest.mark.parametrize("kind", ["dense", "one column", "repeated rows"])
def test_the_error_of_a_projection(kind: str) -> None:
    """Over many pairs: no bias, and a spread of at most √(2 / size), however the gradients are made."""
    size, rows, columns = 256, 300, 512
    errors: list[float] = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        one, other = torch.randn(2, rows, columns, generator=generator, dtype=torch.float64)
        if kind == "one column":
            mask = torch.zeros(columns, dtype=torch.float64)
            mask[seed] = 1
            one, other = one * mask, other * mask
        elif kind == "repeated rows":
            one, other = one[:1].expand(rows, -1), other[:1].expand(rows, -1)
        exact = float((one * other).sum())
        found = float(project(one, size) @ project(other, size))
        errors.append((found - exact) / float(one.norm() * other.norm()))
    bound = projection_error(rows * columns, size)
    assert bound == math.sqrt(2 / size)
    spread = math.sqrt(sum(error**2 for error in errors) / len(errors))
    assert 0.1 * bound < spread < 1.3 * bound
    assert abs(sum(errors) / len(errors)) < 4 * bound / math.sqrt(len(errors))


def test_the_sketch_sees_who_agrees() -> None:
    base, noise = torch.randn(2, 300, 400)
    sink = feed(SketchSink(1024), [base, -base, base.clone(), noise])
    found = sink.finish()[W]
    assert found.gram is not None and found.sum_sketch is not None
    lengths = found.gram.diagonal().sqrt()
    cosines = found.gram / lengths[:, None] / lengths[None, :]
    expected = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(cosines[0, :3], expected, rtol=0, atol=1e-9)
    assert abs(float(cosines[0, 3])) < 4 * found.cosine_error
    assert found.norms == pytest.approx([float(each.norm()) for each in (base, base, base, noise)], rel=1e-5)
    assert found.sum_norm == pytest.approx(float((base + noise).norm()), rel=1e-5)


def test_all_sinks_project_the_same_sum() -> None:
    gradients = [torch.randn(60, 50) for _ in range(3)]
    sinks = SketchSink(128), ExactSink(sum_sketch=128), StreamingSink(sum_sketch=128)
    sketches = [feed(sink, gradients).finish()[W].sum_sketch for sink in sinks]
    torch.testing.assert_close(sketches[0], sketches[1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sketches[0], sketches[2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("make", [ExactSink, SketchSink, StreamingSink])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_gradients_that_are_no_numbers(make: type[MeasuringSink], bad: float) -> None:
    gradients = [torch.ones(3, 3) for _ in range(3)]
    gradients[1] = torch.full((3, 3), bad)
    gradients[0] = gradients[0] * math.nan  # later in the backward pass
    found = feed(make(), gradients).finish()[W]
    assert not found.finite
    assert str(found.first_nonfinite) == "layers.1.weight"


def test_uses_come_in_the_order_of_the_forward_pass() -> None:
    found = feed(StreamingSink(), [torch.ones(2) * size for size in (1.0, 2.0, 3.0)]).finish()[W]
    assert [key.place for key in found.keys] == [f"layers.{number}.weight" for number in range(3)]
    assert found.norms == pytest.approx([2**0.5, 2 * 2**0.5, 3 * 2**0.5])
    assert found.sum_norm == pytest.approx(6 * 2**0.5)
