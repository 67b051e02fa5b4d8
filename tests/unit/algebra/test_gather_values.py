"""Values, gradients and fits of the gather family against definitions in NumPy."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.algebra.catalogue.cells import GatherCells
from lightning_tying.algebra.catalogue.hashed import Hashed
from lightning_tying.algebra.expression import ScalarMap
from lightning_tying.algebra.partial_shapes import Shapes
from lightning_tying.algebra.primitives.gather import Gather
from lightning_tying.algebra.primitives.node import Inputs
from tests.unit.algebra.gather_family import EXAMPLES, Case, every_case, layouts, maps, parts

each = pytest.mark.parametrize("case", EXAMPLES.values(), ids=EXAMPLES)


@settings(deadline=None)
@given(every_case, st.integers(0, 9))
def test_value(case, seed):
    tensors = case.draw(seed)
    value = case.forward(tensors)
    assert value.shape == case.shapes.value
    np.testing.assert_array_equal(value.numpy(), case.define(*(x.numpy() for x in tensors)))


@settings(deadline=None)
@given(every_case, st.integers(0, 9))
def test_gradient_is_the_transposed_matrix(case, seed):
    """The Jacobian of the NumPy definition, column by column: the map is linear but for constants."""
    tensors = [x.requires_grad_() for x in case.draw(seed)]
    value = case.forward(tensors)
    weight = torch.randn(value.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    gradients = torch.autograd.grad(value, tensors, weight)
    zeros = [np.zeros(x.shape) for x in tensors]
    origin = case.define(*zeros)
    for place, gradient in enumerate(gradients):
        for cell in np.ndindex(gradient.shape):
            unit = [zero.copy() for zero in zeros]
            unit[place][cell] = 1
            wanted = ((case.define(*unit) - origin) * weight.numpy()).sum()
            assert abs(gradient[cell].item() - wanted) < 1e-12


@settings(deadline=None)
@given(layouts(), st.integers(0, 9))
def test_layouts_are_fitted_exactly(case, seed):
    tensors = case.draw(seed)
    (fitted,) = case.node.fit(case.forward(tensors), [None])
    assert torch.equal(fitted, tensors[0])


@settings(deadline=None)
@given(st.one_of(parts(), maps()), st.integers(0, 9))
def test_fit_of_a_value_finds_the_cells_that_are_read(case, seed):
    (x,) = case.draw(seed)
    node, target = case.node, case.forward([x])
    (fitted,) = node.fit(target, [None])
    _, counts = node.scatter(target)
    assert torch.allclose(fitted, torch.where(counts > 0, x, 0), rtol=0, atol=1e-14)
    assert node.fit(target, [x]) == [None]


@settings(deadline=None)
@given(st.one_of(layouts(), parts(), maps()), st.integers(0, 9))
def test_fit_is_the_mean_over_the_cells_that_read(case, seed):
    """Any target; who reads which cell is found with the definition."""
    target = torch.randn(case.shapes.value, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    sums, counts = case.node.scatter(target)
    shape = case.shapes.operands[0]
    origin = case.define(np.zeros(shape))
    for cell in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[cell] = 1
        reads = case.define(unit) - origin
        assert counts[cell].item() == np.abs(reads).sum()
        assert abs(sums[cell].item() - (reads * target.numpy()).sum()) < 1e-12
    (fitted,) = case.node.fit(target, [None])
    assert torch.allclose(fitted, sums / counts.clamp(min=1), rtol=0, atol=0)


def test_concat_fits_each_part_and_leaves_settled_ones():
    case = EXAMPLES["concat"]
    a, b = case.draw()
    target = case.forward([a, b])
    first, second = case.node.fit(target, [None, None])
    assert torch.equal(first, a)
    assert torch.equal(second, b)
    assert case.node.fit(target, [a, None])[0] is None


@given(st.one_of(parts(), maps()), st.integers(0, 9))
@settings(deadline=None)
def test_cells_that_count_more_than_once(case, seed):
    """Sums and counts go through as they would if every cell stood there as often as it counts."""
    target = torch.randn(case.shapes.value, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    once, readers = case.node.scatter(target)
    sums, counts = case.node.scatter(3 * target, torch.full_like(target, 3))
    assert torch.allclose(sums, 3 * once, rtol=0, atol=1e-12)
    assert torch.equal(counts, 3 * readers)


@each
def test_fits_below_inference_mode_and_without_gradients(case):
    tensors = case.draw()
    unknown = [None] * len(tensors)
    wanted = case.node.fit(case.forward(tensors), unknown)
    for context in (torch.inference_mode(), torch.no_grad()):
        with context:
            found = case.node.fit(case.forward(tensors), unknown)
        assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
        assert not any(value.requires_grad for value in found)


@each
def test_can_be_differentiated_twice(case):
    tensors = tuple(x.requires_grad_() for x in case.draw())
    node = case.node
    assert torch.autograd.gradcheck(lambda *x: node.forward(Inputs(x)), tensors)
    assert torch.autograd.gradgradcheck(lambda *x: node.forward(Inputs(x)) ** 2, tensors)


@each
def test_float32_and_bfloat16_are_read_as_they_are(case):
    exact = case.forward(case.draw())
    for dtype in (torch.float32, torch.bfloat16):
        value = case.forward(case.draw(dtype=dtype))
        assert value.dtype == dtype
        assert torch.equal(value, exact.to(dtype))


@each
def test_one_graph_when_compiled(case):
    torch._dynamo.reset()
    node = case.node
    node.prepare(torch.device("cpu"), torch.float64)
    tensors = [x.requires_grad_() for x in case.draw()]
    compiled = torch.compile(lambda *x: node.forward(Inputs(x)), backend="aot_eager", fullgraph=True)
    value = compiled(*tensors)
    assert torch.equal(value, node.forward(Inputs(tensors)))
    found = torch.autograd.grad(value.square().sum(), tensors)
    wanted = torch.autograd.grad(node.forward(Inputs(tensors)).square().sum(), tensors)
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


@each
def test_on_the_meta_device(case):
    node = case.node
    node.prepare(torch.device("meta"), torch.float32)
    value = node.forward(Inputs([torch.empty(shape, device="meta") for shape in case.shapes.operands]))
    assert value.is_meta
    assert value.shape == case.shapes.value


@each
def test_a_context_of_another_device_makes_no_difference(case):
    tensors = case.draw()
    wanted = case.forward(tensors)
    with torch.device("meta"):
        assert torch.equal(case.forward(tensors), wanted)


@pytest.mark.parametrize("name", ["rows", "blocks", "gather", "outside", "mask", "hashed", "chunks"])
def test_indices_are_caches(name):
    case = EXAMPLES[name]
    node = case.node
    assert isinstance(node, Gather)
    cpu = torch.device("cpu")
    node.prepare(cpu, torch.float32)
    first = node.reader.cells(cpu)
    assert node.reader.cells(cpu) is first
    assert first.dtype == (torch.bool if name == "mask" else torch.int32)
    for twin in (copy.deepcopy(node), pickle.loads(pickle.dumps(node))):
        assert twin.reader._cells == {}
        assert torch.equal(twin.forward(Inputs(case.draw())), node.forward(Inputs(case.draw())))
    assert node.reader._cells  # the copy took nothing away


def test_numbers_beyond_int32_keep_their_bits():
    case = Case(GatherCells(ScalarMap("i0 * 2147483648"), 0.5), Shapes((2,), ((1,),)), None)
    assert case.forward([torch.tensor([3.0])]).tolist() == [3.0, 0.5]


def test_a_hashed_map_depends_on_seed_and_key_alone():
    shapes = Shapes((40, 30), ((100,),))
    cells = [Case(t, shapes, None, key) for t, key in [(Hashed(0), "a"), (Hashed(1), "a"), (Hashed(0), "b")]]
    found = [case.node.reader.cells(torch.device("cpu")) for case in cells]
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(found[0], Case(Hashed(0), shapes, None, "a").node.reader.cells(torch.device("cpu")))


def test_a_hashed_map_spreads_cells_and_signs():
    """12,000 cells of 100: a multinomial count of 120 ± 11 each, and half of the signs."""
    cells = Case(Hashed(), Shapes((120, 100), ((100,),)), None).node.reader.cells(torch.device("cpu"))
    counts = torch.bincount(cells % 100, minlength=100).double()
    assert counts.min() > 120 - 5 * 11
    assert counts.max() < 120 + 5 * 11
    assert abs((cells >= 100).double().mean().item() - 0.5) < 0.03
