"""Shapes of the gather family: from the value, from the operands, and what does not fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.algebra.catalogue.cells import GatherCells, Mask
from lightning_tying.algebra.catalogue.diagonal import Diag
from lightning_tying.algebra.catalogue.hashed import Hashed
from lightning_tying.algebra.catalogue.join import Concat
from lightning_tying.algebra.catalogue.layout import Flip, Permute, Reshape, Roll, Rot90, T
from lightning_tying.algebra.catalogue.parts import Repeat, Slice
from lightning_tying.algebra.catalogue.rows import Rows
from lightning_tying.algebra.expression import ScalarMap
from lightning_tying.algebra.partial_shapes import ShapeClash, Shapes, meet
from lightning_tying.spec.mistakes import Mistake
from tests.unit.algebra.gather_family import every_case, file_map, joins, layouts

SITE = "embed.weight"
NAMES = ("A", "B", "C")
OR = ", or another equation for it."


def infer(transform, value, *operands):
    found = transform.infer(Shapes(value, operands, names=NAMES), SITE)
    again = transform.infer(found, SITE)
    assert again == found  # nothing new follows from what has followed
    return (found.value, *found.operands)


@given(every_case)
def test_whole_shapes_are_kept_and_pass(case):
    shapes = case.shapes
    assert case.transform.infer(shapes, SITE) == shapes
    case.transform.check(shapes, SITE)
    assert case.transform.divide(shapes, SITE) == shapes
    for found, least in zip(shapes.operands, case.transform.least(shapes, SITE), strict=True):
        for size, needed in zip(found, least or (), strict=False):
            assert needed is None or needed <= size


@given(every_case, st.data())
def test_what_follows_holds_of_the_whole_shapes(case, data):
    """From any part of what is true only what is true follows; an open part of a concat is never lost."""
    hidden = [
        None if data.draw(st.booleans()) else tuple(None if data.draw(st.booleans()) else size for size in shape)
        for shape in (case.shapes.value, *case.shapes.operands)
    ]
    found = case.transform.infer(Shapes(hidden[0], tuple(hidden[1:])), SITE)
    meet(found.value, case.shapes.value)
    assert len(found.operands) == len(case.shapes.operands)
    for known, true in zip(found.operands, case.shapes.operands, strict=True):
        meet(known, true)


@given(layouts())
def test_layouts_follow_from_either_side(case):
    operands = tuple(None for _ in case.shapes.operands)
    if not isinstance(case.transform, Reshape):
        assert case.transform.infer(Shapes(case.shapes.value, operands), SITE) == case.shapes
    if not isinstance(case.transform, Reshape) or case.transform.shape is not None:
        assert case.transform.infer(Shapes(None, case.shapes.operands), SITE) == case.shapes


@given(joins(), st.data())
def test_concat_finds_the_sum_or_one_part(case, data):
    assert case.transform.infer(Shapes(None, case.shapes.operands), SITE) == case.shapes
    hidden = data.draw(st.integers(0, len(case.shapes.operands) - 1))
    operands = tuple(None if i == hidden else shape for i, shape in enumerate(case.shapes.operands))
    assert case.transform.infer(Shapes(case.shapes.value, operands), SITE) == case.shapes


@pytest.mark.parametrize(
    ("transform", "before", "after"),
    [
        (T(), (None, None), ((None, None), (None, None))),
        (T(), ((None, 4), None), ((None, 4), (4, None))),
        (T(), ((None, 4), (None, 3)), ((3, 4), (4, 3))),
        (Permute((1, -1, 0)), (None, (2, 3, 4)), ((3, 4, 2), (2, 3, 4))),
        (Permute((1, 0)), (None, None), ((None, None), (None, None))),
        (Flip((0,)), ((None, 3), (2, None)), ((2, 3), (2, 3))),
        (Roll(1), (None, (2, None)), ((2, None), (2, None))),
        (Rot90(), ((8, None, 3), None), ((8, None, 3), (8, 3, None))),
        (Rot90(2), ((8, None, 3), None), ((8, None, 3), (8, None, 3))),
        (Reshape(), ((6, 4), (3, None)), ((6, 4), (3, 8))),
        (Reshape(), ((6, 4), None), ((6, 4), None)),
        (Reshape((4, 6)), (None, None), ((4, 6), None)),
        (Reshape(), ((6, None), (3, 8)), ((6, 4), (3, 8))),
        (Reshape(), ((None, None), (3, 8)), ((None, None), (3, 8))),
        (Slice(2, 5), (None, (9, 4)), ((3, 4), (9, 4))),
        (Slice(2, 5), ((None, 4), None), ((3, 4), (None, 4))),
        (Slice(2, 5, -1), ((7, None), (None, None)), ((7, 3), (7, None))),
        (Slice(2, 5), (None, None), (None, None)),
        (Repeat(8, 0, 8), ((64, 64), None), ((64, 64), (8, 64))),
        (Repeat(3, 1), (None, (5, 2)), ((5, 6), (5, 2))),
        (Rows(file_map([0, 3, 1])), (None, (None, 7)), ((3, 7), (None, 7))),
        (Rows(file_map([0, 3, 1]), 2), ((None, 7), None), ((6, 7), (None, 7))),
        (Rows(ScalarMap("i0 // 4")), (None, (3, 7)), ((None, 7), (3, 7))),
        (GatherCells(ScalarMap("i0 == i1")), ((10, 10), None), ((10, 10), (None,))),
        (GatherCells(file_map([[0, 3], [1, 1]])), (None, None), ((2, 2), (None,))),
        (Mask(ScalarMap("i0 >= i1")), ((3, None), (None, 4)), ((3, 4), (3, 4))),
        (Mask(file_map([[0, 1]])), (None, None), ((1, 2), (1, 2))),
        (Hashed(), ((3, 4), None), ((3, 4), (None,))),
        (Hashed(), (None, (50,)), (None, (50,))),
        (Diag(), ((3, 5), None), ((3, 5), (3,))),
        (Diag(), (None, (3,)), ((None, None), (3,))),
        (Concat(), ((100, None), (60, None), (None, 8)), ((100, 8), (60, 8), (40, 8))),
        (Concat(), (None, (60, None), (None, 8)), ((None, 8), (60, 8), (None, 8))),
        (Concat(-1), ((None, 10), (4, None), None), ((4, 10), (4, None), (4, None))),
        (Concat(), (None, None, None), (None, None, None)),
    ],
)
def test_what_follows(transform, before, after):
    assert infer(transform, *before) == after


def test_concat_divides():
    transform = Concat()
    found = transform.divide(Shapes((192, 64), ((None, 64), (None, 64), (None, 64)), names=NAMES), SITE)
    assert found.operands == ((64, 64),) * 3
    found = transform.divide(Shapes((192,), ((None,), (92,), (None,)), names=NAMES), SITE)
    assert found.operands == ((50,), (92,), (50,))
    shapes = Shapes((None, 64), ((None, 64), (None, 64)))
    assert transform.divide(shapes, SITE) == shapes
    assert transform.divide(Shapes(None, (None,)), SITE) == Shapes(None, (None,))


@pytest.mark.parametrize(
    ("transform", "value", "operand", "least"),
    [
        (Slice(2, 5), (3, 7), (None, 7), (5, None)),
        (Slice(2, 5, -1), (7, 3), (7, None), (None, 5)),
        (Rows(ScalarMap("hash(i0) % 50")), (1000, 32), (None, 32), (50, None)),
        (Rows(ScalarMap("i0 // 4")), (10, 32), (None, 32), (3, None)),
        (Rows(ScalarMap("i0 // 4")), (None, 32), (None, 32), None),
        (Rows(file_map([3, 19]), 8), (16, 64), (None, 64), (160, None)),
        (Rows(file_map([3, 19], 800)), (2, 64), (None, 64), (800, None)),
        (GatherCells(ScalarMap("i0 == i1")), (10, 10), (None,), (2,)),
        (GatherCells(ScalarMap("i1 - i0"), 0), (28, 32), (None,), None),
        (Hashed(), (28, 32), (None,), None),
    ],
)
def test_least(transform, value, operand, least):
    assert transform.least(Shapes(value, (operand,)), SITE) == (least,)


MISTAKES = [
    (T(), "63", "t needs two dimensions; embed.weight is [64]. Write where: ndim == 2" + OR, (64,), None),
    (T(), "63", None, (3, 4, 5), None),
    (
        Rot90(),
        "63",
        "rot90 needs two dimensions or more; embed.weight is [64]. Write where: ndim >= 2" + OR,
        (64,),
        None,
    ),
    (T(), "63", "t needs two dimensions; A is [64].", None, (64,)),
    (Rows(ScalarMap("i0")), "63", None, None, ()),
    (Diag(), "63", None, (4,), None),
    (Permute((0, 2)), "63", "permute at embed.weight: 0, 2 is not an order of all dimensions.", None, None),
    (
        Permute((0, 1)),
        "63",
        "permute at embed.weight: 0, 1 is not an order of all dimensions of [3, 4, 5].",
        (3, 4, 5),
        None,
    ),
    (Permute((1, 1)), "63", None, (3, 4), None),
    (Flip((0, -2)), "63", "flip at embed.weight: 0, -2 names one dimension twice.", (3, 4), None),
    (Flip((2,)), "63", "flip at embed.weight: [3, 4] has no dimension 2.", (3, 4), None),
    (Roll(1, 2), "63", "roll at embed.weight: [3, _] has no dimension 2.", None, (3, None)),
    (Slice(0, 2, 1), "63", "slice at embed.weight: [3] has no dimension 1.", (3,), None),
    (Reshape((5, 5)), "60", None, None, (3, 4)),
    (
        Reshape(),
        "60",
        "reshape at embed.weight: [3, 4] and [5, _] have not the same number of cells.",
        (5, None),
        (3, 4),
    ),
    (Slice(2, 5), "60", "slice at embed.weight: A is [4, 7], so dimension 0 has nothing from 4 to 5.", (3, 7), (4, 7)),
    (Repeat(3), "66", "repeat at embed.weight: 64 is not a multiple of 3 × 1.", (64, 64), None),
    (Repeat(2, 0, 3), "66", "repeat at embed.weight: A has 4, not a multiple of 3.", None, (4, 64)),
    (Rows(ScalarMap("i0"), 3), "66", "rows at embed.weight: 100 is not a multiple of 3.", (100, 64), None),
    (Rows(file_map(range(499))), "77", "maps/m.json has 499 entries, embed.weight 500 rows.", (500, 32), None),
    (Rows(file_map([0] * 7), 8), "77", "maps/m.json has 7 entries, embed.weight 8 blocks of 8 rows.", (64, 64), None),
    (
        Rows(file_map([0, 800])),
        "75",
        "maps/m.json names 800 at entry 1, and A has 800 rows: 0 … 799.",
        (2, 3),
        (800, 3),
    ),
    (Rows(file_map([0, -1])), "75", "maps/m.json names -1 at entry 1, and A has 800 rows: 0 … 799.", (2, 3), (800, 3)),
    (
        Rows(file_map([0, 2]), 8),
        "75",
        "maps/m.json names 2 at entry 1, and A has 2 blocks of 8 rows: 0 … 1.",
        (16, 3),
        (23, 3),
    ),
    (Rows(ScalarMap("i0 / 2")), "50", None, (4, 3), (2, 3)),
    (
        GatherCells(ScalarMap("i1 - i0")),
        "75",
        "`i1 - i0` names -1 at i0, i1 = 1, 0, and A has 5 cells: 0 … 4.",
        (3, 3),
        (5,),
    ),
    (GatherCells(ScalarMap("i0 // i1"), 0), "49", "`i0 // i1` divides by zero.", (3, 3), (5,)),
    (GatherCells(file_map([0, 1])), "77", "maps/m.json has 2 entries, embed.weight 3 cells.", (3,), None),
    (GatherCells(file_map([[0, 1]])), "77", "maps/m.json has [1, 2] entries, embed.weight [3, 3].", (3, 3), None),
    (Mask(file_map([0, 2])), "75", "maps/m.json names 2 at entry 1, and a mask is 0 or 1.", (2,), (2,)),
    (Mask(file_map([0, 1])), "77", "maps/m.json has 2 entries, embed.weight 3 cells.", (3,), None),
    (Hashed(0, 32), "70", "A has 16 cells, less than one chunk of 32.", (100, 64), (16,)),
]


@pytest.mark.parametrize(("transform", "code", "text", "value", "operand"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(transform, code, text, value, operand):
    shapes = Shapes(value, (operand,), names=NAMES)
    with pytest.raises(Mistake) as caught:
        transform.check(transform.infer(shapes, SITE), SITE)
    assert caught.value.code == code
    if text is not None:
        assert caught.value.text == text


@pytest.mark.parametrize("transform", [Rows(ScalarMap("i0 / 2")), GatherCells(ScalarMap("i0 / 2"))])
def test_a_map_that_cannot_be_read_is_told_before_sizes_are_chosen(transform):
    with pytest.raises(Mistake, match="is a real number"):
        transform.infer(Shapes((4, 3), (None,)), SITE)


@pytest.mark.parametrize(
    ("value", "operands", "text"),
    [
        ((100, 64), [None] * 3, "100 does not divide by 3. Declare the shapes of A, B and C."),
        ((100, 64), [(51, 64), None, None], "49 does not divide by 2. Declare the shapes of B and C."),
        ((100, 64), [(60, 64), (40, 64), None], "100 leaves nothing for C; the other parts take 100."),
        ((100, 64), [(99, 64), None, None], "100 leaves nothing for B and C; the other parts take 99."),
        ((100, 64), [(60, 64), (60, 64)], "60 + 60 is 120, not 100. Declare the shapes of A and B."),
    ],
)
def test_mistakes_of_concat(value, operands, text):
    with pytest.raises(Mistake) as caught:
        Concat().divide(Concat().infer(Shapes(value, tuple(operands), names=NAMES), SITE), SITE)
    assert (caught.value.code, caught.value.text) == ("65", f"concat at embed.weight: {text}")


def test_two_names_of_one_part_are_told_once():
    with pytest.raises(Mistake, match=r"Declare the shapes of QK and V\.$"):
        Concat().divide(Shapes((100,), ((None,),) * 3, names=("QK", "QK", "V")), SITE)


@pytest.mark.parametrize(
    ("transform", "value", "operands"),
    [
        (T(), (3, 4), [(3, 4)]),
        (Flip((0,)), (3, 4), [(3, 5)]),
        (Reshape((5, 5)), (3, 4), [None]),
        (Slice(0, 2), (3, 4), [None]),
        (Slice(0, 3), (3, 4), [(9, 5)]),
        (Slice(0, 3), (3, 4), [(9, 4, 1)]),
        (Rows(ScalarMap("i0")), (3, 4), [(3, 5)]),
        (Mask(ScalarMap("i0")), (3, 4), [(4, 3)]),
        (Hashed(), (3, 4), [(3, 4)]),
        (Diag(), (3, 4), [(4,)]),
        (Concat(), (3, 4), [(1, 4), (2, 5)]),
        (Concat(), (3, 4), [(1, 4), (2,)]),
    ],
)
def test_clashes(transform, value, operands):
    with pytest.raises(ShapeClash):
        transform.infer(Shapes(value, tuple(operands)), SITE)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Roll(0.5), "roll: n is 0.5, not a whole number."),
        (lambda: Roll(True), "roll: n is True, not a whole number."),
        (lambda: Repeat(0), "repeat: n is 0; it is 1 or more."),
        (lambda: Slice(3, 3), "slice: stop, 3, is not after start, 3."),
        (lambda: Slice(-1, 3), "slice: start is -1; it is 0 or more."),
        (lambda: Reshape(3), "reshape: a size of shape is 3, not a list of whole numbers."),
        (lambda: Flip(("a",)), "flip: a dimension is 'a', not a whole number."),
        (lambda: Hashed(0, 0), "hashed: chunk is 0; it is 1 or more."),
        (lambda: Hashed(sign="no"), "hashed: sign is 'no', neither true nor false."),
        (lambda: GatherCells(ScalarMap("i0"), "x"), "gather: outside is 'x', not a number."),
    ],
)
def test_arguments_of_another_kind(make, text):
    with pytest.raises(Mistake) as caught:
        make()
    assert caught.value.text == text
