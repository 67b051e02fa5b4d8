"""The functions of contraction and of the closed list: values against definitions in plain torch, shapes, refusals."""

from __future__ import annotations

from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.algebra.maps.fixed_entries import VeraMatrix
from lightning_tying.algebra.partial_shapes import ShapeClash
from lightning_tying.spec.mistakes import Mistake
from tests.calls import Called, call, infer, transform_of

SIZE = st.integers(1, 5)
MATRIX = st.tuples(SIZE, SIZE)
SHAPE = st.lists(SIZE, min_size=2, max_size=4).map(tuple)
ANY = st.lists(SIZE, min_size=1, max_size=4).map(tuple)


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def differentiates(called: Called) -> bool:
    slots = [slot.requires_grad_() for slot in called.draw(3)]
    return torch.autograd.gradcheck(called, slots)


@given(ANY, st.data())
def test_scale(shape, data):
    dim = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    called = call("scale", shape, None, dim=dim)
    x, s = called.draw()
    assert s.shape == (() if dim is None else (shape[dim],))
    wanted = x * s if dim is None else (x.movedim(dim, -1) * s).movedim(-1, dim)
    close(called(x, s), wanted)


@given(SHAPE, st.data())
def test_low_rank(shape, data):
    r = data.draw(st.integers(1, min(shape[0], prod(shape[1:]))))
    called = call("low_rank", shape, r=r)
    a, b = called.draw()
    assert a.shape == (r, prod(shape[1:]))
    close(called(a, b), (b @ a).view(shape))


def test_low_rank_counts_what_it_costs():
    assert call("low_rank", (30, 20), r=4).node.multiply_adds() == 30 * 20 * 4


@given(ANY, st.integers(1, 4), st.booleans(), st.data())
def test_mix(shape, k, softmax, data):
    top = data.draw(st.none() | st.integers(1, k))
    called = call("mix", shape, None, k=k, softmax=softmax, top=top)
    x, a = called.draw()
    assert (tuple(x.shape), tuple(a.shape)) == ((k, *shape), (k,))
    kept = sorted(range(k), key=lambda j: -a[j])[: top or k]
    weights = {j: float(a[j]) for j in kept}
    if softmax:
        total = sum(torch.exp(a[j]) for j in kept)
        weights = {j: float(torch.exp(a[j]) / total) for j in kept}
    close(called(x, a), sum((weight * x[j] for j, weight in weights.items()), torch.zeros(shape, dtype=torch.float64)))


def test_mix_of_blocks():
    called = call("mix", (4, 6), None, k=3, top=2, softmax=True, block=8)
    x, a = called.draw()
    assert (x.shape, a.shape) == ((3, 8), (3, 3))
    rows = []
    for row in a:
        kept = row.topk(2)
        rows.append((torch.softmax(kept.values, 0)[:, None] * x[kept.indices]).sum(0))
    close(called(x, a), torch.cat(rows).view(4, 6))


@given(ANY, st.integers(1, 4))
def test_basis(shape, r):
    called = call("basis", shape, None, r=r)
    x, c = called.draw()
    close(called(x, c), torch.stack([sum(c[i, j] * x[j] for j in range(r)) for i in range(shape[0])]))


@given(MATRIX, MATRIX)
def test_kron(left, right):
    called = call("kron", (left[0] * right[0], left[1] * right[1]), left, None)
    close(called(*called.draw()), torch.kron(*called.draw()))


@given(MATRIX, MATRIX, st.integers(1, 3))
def test_kron_sum(left, right, n):
    called = call("kron", (left[0] * right[0], left[1] * right[1]), None, (n, *right))
    x, y = called.draw()
    close(called(x, y), sum(torch.kron(x[i], y[i]) for i in range(n)))


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4), st.integers(1, 3), st.data())
def test_tensor_train(pairs, rank, data):
    rows, cols = (tuple(sizes) for sizes in zip(*pairs, strict=True))
    height = data.draw(st.integers(1, prod(rows)))
    called = call("tt", (height, prod(cols)), *[None] * len(pairs), rows=rows, cols=cols, rank=rank)
    cores = called.draw()
    value = called(*cores)
    for i in range(height):
        for j in range(prod(cols)):
            product, row, col = torch.ones(1, 1, dtype=torch.float64), i, j
            for place in range(len(pairs)):
                below, across = prod(rows[place + 1 :]), prod(cols[place + 1 :])
                product = product @ cores[place][:, row // below, col // across]
                row, col = row % below, col % across
            close(value[i, j], product[0, 0])


@given(SHAPE, st.integers(1, 3), st.integers(0, 3))
def test_vera(shape, r, seed):
    called = call("vera", shape, r=r, seed=seed)
    d, b = called.draw()
    right, left = numbers_of_vera(called)
    close(called(d, b), (torch.diag(b) @ left @ torch.diag(d) @ right).view(shape))


def numbers_of_vera(called: Called) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of a call."""
    shape = called.shapes.value
    r, seed = called.transform.arguments()["r"], called.transform.arguments()["seed"]
    (a,) = VeraMatrix(seed, "A", r, prod(shape[1:])).make(torch.float64)
    (b,) = VeraMatrix(seed, "B", shape[0], r).make(torch.float64)
    return a, b


def test_vera_cuts_one_matrix_for_sites_of_one_width():
    """Rows of A and B are the same numbers at every site, apart from the factor of the size."""
    wide, narrow = (numbers_of_vera(call("vera", shape, r=3, seed=5)) for shape in ((8, 9), (5, 4)))
    close(narrow[0] * (4 / 9) ** 0.5, wide[0][:, :4])
    close(narrow[1], wide[1][:5])


@given(st.integers(1, 4), SIZE, SIZE, SHAPE)
def test_resize(leading, a, b, site):
    for lead in ((), (leading,)):
        called = call("resize", (*lead, *site), (*lead, a, b))
        (x,) = called.draw()
        source = x.reshape(1, -1, a, b)
        wanted = torch.nn.functional.interpolate(
            source, (site[0], prod(site[1:])), mode="bilinear", align_corners=False
        )
        close(called(x), wanted.reshape(*lead, *site))


def test_resize_reads_first_cells():
    called = call("resize", (6, 5, 2), (100,), shape=(3, 4))
    (x,) = called.draw()
    source = x[:12].view(1, 1, 3, 4)
    wanted = torch.nn.functional.interpolate(source, (6, 10), mode="bilinear", align_corners=False)
    close(called(x), wanted.view(6, 5, 2))


def test_einsum_with_sizes_of_letters():
    called = call("einsum", (5, 7), None, None, formula="or,ri->oi", sizes=(("r", 3),))
    x, y = called.draw()
    assert (x.shape, y.shape) == ((5, 3), (3, 7))
    close(called(x, y), x @ y)
    assert called.transform.operand_init(0) == "variance"
    assert called.node.summed == 3


@pytest.mark.parametrize(
    ("function", "arguments", "plain"),
    [
        ("tanh", {}, torch.tanh),
        ("sigmoid", {}, torch.sigmoid),
        ("exp", {}, torch.exp),
        ("softmax", {}, lambda x: torch.softmax(x, -1)),
        ("softmax", {"dim": 0}, lambda x: torch.softmax(x, 0)),
        ("normalize", {}, lambda x: x / x.flatten(1).norm(dim=1)[:, None, None]),
        ("normalize", {"dim": 2}, lambda x: x / x.flatten(0, 1).norm(dim=0)),
        ("drop", {"p": 0.5}, lambda x: x),
        ("stop", {}, lambda x: x),
        ("scale_grad", {"a": 0.5}, lambda x: x),
    ],
)
def test_pointwise(function, arguments, plain):
    called = call(function, (3, 4, 2), None, **arguments)
    (x,) = called.draw()
    close(called(x), plain(x))


def test_gradients_are_dropped_or_scaled():
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    assert not call("stop", (3, 2), None)(x).requires_grad
    call("scale_grad", (3, 2), None, a=0.25)(x).sum().backward()
    close(x.grad, torch.full((3, 2), 0.25, dtype=torch.float64))


def test_dropout_is_random_in_training():
    called = call("drop", (40, 40), None, p=0.5)
    x = torch.ones(40, 40)
    assert called.node.is_random
    assert torch.equal(called(x), x)
    assert not torch.equal(called(x, training=True), called(x, training=True))


@pytest.mark.parametrize(
    ("function", "value", "operands", "arguments"),
    [
        ("scale", (3, 2), (None,), {"dim": 1}),
        ("low_rank", (3, 2, 2), (), {"r": 2}),
        ("mix", (3, 2), (None,), {"k": 3, "softmax": True, "top": 2}),
        ("mix", (3, 2), (None,), {"k": 3, "block": 2}),
        ("basis", (3, 2), (None,), {"r": 2}),
        ("kron", (4, 6), ((2, 2), None), {}),
        ("tt", (5, 4), (None, None), {"rows": (2, 3), "cols": (2, 2), "rank": 2}),
        ("project", (3, 2), ((4,),), {"kind": "dense"}),
        ("project", (9, 3), ((4,),), {"kind": "sparse"}),
        ("project", (9, 3), ((3,),), {"kind": "fastfood"}),
        ("vera", (3, 2), (), {"r": 2}),
        ("resize", (3, 2, 2), ((2, 3),), {}),
        ("resize", (3, 2, 2), ((9,),), {"shape": (2, 3)}),
        ("normalize", (3, 2), (None,), {}),
    ],
)
def test_gradients_and_meta(function, value, operands, arguments):
    called = call(function, value, *operands, **arguments)
    assert differentiates(called)
    slots = [torch.empty(slot.shape, device="meta") for slot in called.draw()]
    found = called(*slots)
    assert (found.device.type, tuple(found.shape), found.dtype) == ("meta", value, torch.float32)


@pytest.mark.parametrize(
    ("function", "operands", "arguments", "own", "wanted"),
    [
        ("scale", [(3, 4)], {"dim": 1}, [None], (3, 4)),
        ("scale", [(3, None)], {"dim": 1}, [(4,)], (3, 4)),
        ("mix", [(2, 3, 4)], {"k": 2}, [None], (3, 4)),
        ("basis", [(2, 4)], {"r": 2}, [(3, 2)], (3, 4)),
        ("tt", [None, None], {"rows": (2, 2), "cols": (2, 2), "rank": 3}, [], (None, 4)),
        ("kron", [(1, 2), (3, 2)], {}, [], None),
        ("tanh", [(3, 4)], {}, [], (3, 4)),
        ("drop", [(3, 4)], {"p": 0.1}, [], (3, 4)),
        ("stop", [(3, 4)], {}, [], (3, 4)),
        ("einsum", [(3, None), (5, 4)], {"formula": "or,ri->oi"}, [], (3, 4)),
    ],
)
def test_shapes_of_the_value_follow_from_those_of_arguments(function, operands, arguments, own, wanted):
    found = infer(transform_of(function, **arguments), None, *operands, own=tuple(own))
    assert found.value == wanted


def test_kron_shapes_follow_from_any_two():
    transform = transform_of("kron")
    assert infer(transform, (6, 8), (2, 4), None).operands == ((2, 4), (3, 2))
    assert infer(transform, (6, 8), None, (5, 3, 2)).operands == ((5, 2, 4), (5, 3, 2))
    assert infer(transform, (None, None), (2, 4), (3, 2)).value == (6, 8)
    assert infer(transform, (6, 8), (2, None), (None, 2)).operands == ((2, 4), (3, 2))


@pytest.mark.parametrize(
    ("function", "value", "operands", "arguments", "number", "text"),
    [
        ("low_rank", (64,), [], {"r": 8}, "63", "low_rank needs two dimensions; site is [64]. "
         "Write where: ndim >= 2, or another equation for it."),
        ("low_rank", (64, 64), [], {"r": 100}, "64", "Rank 100 is more than 64, the smaller side of site. "
         "Write low_rank(min(100, d0, d1))"),
        ("low_rank", (64, 3, 3), [], {"r": 100}, "64", "Rank 100 is more than 9, the smaller side of site. "
         "Write low_rank(min(100, d0, numel // d0))"),
        ("low_rank", (64, 64), [], {"r": 0}, "64", "Rank 0 is less than 1. Write low_rank(min(1, d0, d1))"),
        ("tt", (100, 64), [None, None], {"rows": (3, 4), "cols": (8, 8), "rank": 2}, "67",
         "tt at site: rows 3·4 = 12 is less than 100."),
        ("tt", (12, 60), [None, None], {"rows": (3, 4), "cols": (8, 8), "rank": 2}, "67",
         "tt at site: cols 8·8 = 64 is not 60."),
        ("tt", (12, 64), [None, None], {"rows": (3, 4, 1), "cols": (8, 8), "rank": 2}, "67",
         "tt at site: rows has 3 numbers and cols 2."),
        ("kron", (64, 64), [(3, 3), None], {}, "68", "kron at site: 64 is not a multiple of 3 (d0)."),
        ("kron", (64,), [(3, 3), (3, 3)], {}, "63", "kron needs two dimensions; site is [64]. "
         "Write where: ndim == 2, or another equation for it."),
        ("einsum", (100, 64), [(100, 8), (16, 64)], {"formula": "ob,bi->oi"}, "69",
         "einsum at site: b is 8 in argument 1 and 16 in argument 2."),
        ("mix", (5, 5), [None], {"k": 2, "block": 4}, "66", "mix at site: 25 cells are not a multiple of 4."),
        ("mix", (5, 5), [None], {"k": 2, "top": 3}, "44", "mix at site: top is 3; of 2 it is 1 … 2."),
        ("project", (5, 5), [(3,)], {"kind": "fastfod"}, "44", "project has no kind `fastfod`. "
         "Did you mean `fastfood`? Known: dense, sparse, fastfood."),
        ("drop", (5, 5), [None], {"p": 1.5}, "44", "drop at site: p is a probability, 0 … 1, not 1.5."),
        ("softmax", (5, 5), [None], {"dim": 2}, "63", "softmax needs a dimension 2; site is [5, 5]."),
        ("scale", (5, 5), [None], {"dim": 2}, "63", "scale needs a dimension 2; site has 2."),
        ("vera", (5,), [], {"r": 2}, "63", "vera needs two dimensions; site is [5]. "
         "Write where: ndim >= 2, or another equation for it."),
        ("resize", (5, 5), [(10,)], {"shape": (3, 4)}, "70", "resize at site: argument 1 has 10 cells, "
         "less than 3 × 4 = 12."),
    ],
)  # fmt: skip
def test_refusals(function, value, operands, arguments, number, text):
    with pytest.raises(Mistake) as caught:
        call(function, value, *operands, **arguments)
    assert (caught.value.code, caught.value.text) == (number, text)


@pytest.mark.parametrize("formula", ["or,ri", "o...,i->oi", "o1,1i->oi", "or,ri->ooi", "or,ri->oz"])
def test_formulas_that_cannot_be_read(formula):
    with pytest.raises(Mistake) as caught:
        transform_of("einsum", formula=formula)
    assert caught.value.code == "23"
    assert formula in caught.value.text


@pytest.mark.parametrize(
    ("function", "value", "operands", "arguments"),
    [
        ("scale", (3, 4), [(3, 5)], {}),
        ("mix", (3, 4), [(5, 3, 4)], {"k": 4}),
        ("basis", (3, 4), [(2, 5)], {"r": 2}),
        ("tanh", (3, 4), [(4, 3)], {}),
        ("einsum", (3, 4), [(3, 2), (2, 5)], {"formula": "or,ri->oi"}),
    ],
)
def test_clashes_are_left_to_who_knows_the_names(function, value, operands, arguments):
    with pytest.raises(ShapeClash):
        infer(transform_of(function, **arguments), value, *operands)


def test_default_initial_values():
    def rules(function: str, **arguments: object) -> list[str]:
        return [own.init for own in transform_of(function, **arguments).brings]

    assert rules("scale") == ["ones"]
    assert rules("low_rank", r=2) == ["kaiming_uniform", "zeros"]
    assert rules("mix", k=2) == ["orthogonal_rows"]
    assert rules("mix", k=2, softmax=True) == ["zeros"]
    assert rules("mix", k=2, softmax=True, top=1) == ["normal(0.01)"]
    assert rules("basis", r=2) == ["solved"]
    assert rules("vera", r=2) == ["constant(0.1)", "zeros"]
    assert transform_of("mix", k=2).sliced
    assert transform_of("mix", k=2).arguments() == {"k": 2, "softmax": False, "top": None, "block": None}
    drawn = {"mix": {"k": 2}, "resize": {}, "softmax": {}, "tanh": {}, "sigmoid": {}, "exp": {}}
    assert {transform_of(function, **arguments).operand_init(0) for function, arguments in drawn.items()} == {"normal"}
    first = {"scale": {}, "basis": {"r": 2}, "normalize": {}, "drop": {"p": 0.5}, "stop": {}, "scale_grad": {"a": 1}}
    assert {transform_of(function, **arguments).operand_init(0) for function, arguments in first.items()} == {None}
    assert transform_of("project").operand_init(0) == "zeros"


@pytest.mark.parametrize(
    ("function", "operands", "arguments"),
    [
        ("mix", (None,), {"k": 3, "softmax": True, "top": 2}),
        ("kron", ((2, 3), None), {}),
        ("tt", (None, None), {"rows": (2, 2), "cols": (2, 3), "rank": 2}),
        ("project", ((3,),), {"kind": "sparse"}),
        ("project", ((3,),), {"kind": "fastfood"}),
        ("resize", ((2, 2),), {}),
        ("normalize", (None,), {}),
        ("drop", (None,), {"p": 0.5}),
    ],
)
def test_programs_compile_to_one_graph(function, operands, arguments):
    called = call(function, (4, 6), *operands, **arguments)
    called.node.prepare(torch.device("cpu"), torch.float32)
    slots = [slot.requires_grad_() for slot in called.draw(dtype=torch.float32)]
    compiled = torch.compile(lambda *given: called(*given), backend="aot_eager", fullgraph=True)
    found, wanted = compiled(*slots), called(*slots)
    torch.testing.assert_close(found, wanted)
    weights = torch.randn(wanted.shape)
    one, other = (torch.autograd.grad((value * weights).sum(), slots) for value in (found, wanted))
    torch.testing.assert_close(one, other)


def test_einsum_refuses_sizes_that_are_none():
    wrong = [
        (("r", 1.5), "r is 1.5; a size is"),
        (("r", 0), "r is 0; a size is"),
        (("z", 3), "the letter `z` is not in"),
    ]
    for size, text in wrong:
        with pytest.raises(Mistake, match=text) as caught:
            transform_of("einsum", formula="or,ri->oi", sizes=(size,))
        assert caught.value.code == "44"
