"""Maps that are scalars: all cells at once against one after the other, and what their form says they can name."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.algebra.expression import FileMap, ScalarMap
from lightning_tying.algebra.maps.index_maps import (
    check_binary,
    check_entries,
    check_names,
    check_readable,
    count_values,
    map_cells,
    name_map,
)
from lightning_tying.algebra.maps.intervals import bound_map
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import evaluate, read_scalar


class Words:
    def __init__(self, words):
        self.words = words

    def position(self, name):
        raise AssertionError(name)

    count = position


def one_after_the_other(text, words, shape):
    scalar = read_scalar(text)
    cells = itertools.product(*(range(size) for size in shape))
    return [evaluate(scalar, Words({**words, **{f"i{d}": i for d, i in enumerate(cell)}})) for cell in cells]


def scalars(depth):
    """Whole numbers of cells; a divisor is not 0."""
    leaf = st.sampled_from(["i0", "i1", "d0", "m", "3", "7", "(-2)"])
    if not depth:
        return leaf
    below = scalars(depth - 1)
    pair = st.tuples(below, below)
    return st.one_of(
        leaf,
        st.tuples(below, st.sampled_from(["+", "-", "*"]), below).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(below, st.sampled_from(["//", "%"]), st.sampled_from(["4", "(-3)", "d1"])).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        ),
        below.map(lambda e: f"floor({e} / 4)"),
        below.map(lambda e: f"ceil({e} * 0.25)"),
        below.map(lambda e: f"(-{e})"),
        below.map(lambda e: f"(i1 ** 2 + {e})"),
        pair.map(lambda t: f"min({t[0]}, {t[1]}, 5)"),
        pair.map(lambda t: f"max({t[0]}, {t[1]})"),
        pair.map(lambda t: f"(hash({t[0]}, 'k', {t[1]}) % 50)"),
    )


@settings(deadline=None)
@given(scalars(3), st.integers(1, 5), st.integers(1, 5))
def test_equals_one_cell_after_the_other(text, rows, columns):
    words = {"d0": rows, "d1": columns, "m": 6}
    index_map = ScalarMap(text, tuple(words.items()))
    cells = map_cells(index_map, (rows, columns))
    wanted = one_after_the_other(text, words, (rows, columns))
    assert cells.dtype == torch.int64
    assert cells.reshape(-1).tolist() == wanted
    bounds = bound_map(index_map, (rows, columns))
    assert bounds.low <= min(wanted)
    assert bounds.high >= max(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("i0 == i1", lambda i, j: i == j),
        ("i0 != i1", lambda i, j: i != j),
        ("(i0 < i1) + 2 * (i0 >= 2)", lambda i, j: (i < j) + 2 * (i >= 2)),
        ("0 < i0 <= 2", lambda i, j: 0 < i <= 2),
        ("i0 in [0, 3, i1]", lambda i, j: i in (0, 3, j)),
        ("i0 not in [0, 3]", lambda i, j: i not in (0, 3)),
        ("(m == 'q') * i1", lambda i, j: j),
        ("hash(i0 == i1, m) % 7", None),
    ],
)
def test_comparisons_count_zero_or_one(text, wanted):
    cells = map_cells(ScalarMap(text, (("m", "q"),)), (4, 3))
    if wanted is None:
        assert len(cells.unique()) == 2
    else:
        assert cells.tolist() == [[int(wanted(i, j)) for j in range(3)] for i in range(4)]


@pytest.mark.parametrize(
    ("text", "shape", "count"),
    [
        ("i0 // 4", (10,), 3),
        ("i0 // 4", (12,), 3),
        ("i0 % 4", (2,), 4),
        ("hash(i0) % 50", (1000,), 50),
        ("i0 == i1", (10, 10), 2),
        ("(i1 - i0) % 12", (12, 12), 12),
        ("i0 * 3 + i1", (4, 3), 12),
        ("i1 - i0", (28, 32), 32),
        ("min(i0, 5)", (100,), 6),
        ("max(i0, 5)", (3,), 6),
        ("i0 ** 2", (4,), 10),
        ("-i0", (4,), 1),
        ("-1 - i0", (4,), 0),
        ("7", (4,), 8),
        ("floor(i0 / 4)", (9,), 3),
        ("i0 // (i1 + 1)", (9, 3), 9),
        ("i0 % (i1 + 1)", (9, 3), 3),
        ("i0 % -3", (9,), 1),
        ("(i0 - 4) ** 2", (9,), 17),
        ("(-2) ** i0", (4,), 5),
    ],
)
def test_counts(text, shape, count):
    assert count_values(ScalarMap(text), shape) == count


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("i0 / 2", "50", "`i0 / 2` is a real number, and a map names whole numbers. Write // in place of /."),
        ("i0 * 1.0", "50", "`i0 * 1.0` is a real number, and a map names whole numbers."),
        ("i0 % 0", "49", "`i0 % 0` divides by zero."),
        ("i0 // z", "49", "`i0 // z` divides by zero (z = 0)."),
        ("i0 // i1", "49", "`i0 // i1` divides by zero."),
        ("i0 % (i1 - 1)", "49", "`i0 % (i1 - 1)` divides by zero."),
        ("floor(i0 / (0.5 * i1))", "49", "`i0 / (0.5 * i1)` divides by a real number that may be zero."),
        ("position(i0)", "55", "`position(i0)`: position needs a capture, and cells are none."),
        ("i2", "46", "`i2` is no coordinate here: the cells of this map have i0 … i1."),
        ("i0 + m", "48", "`i0 + m`: m is the text 'q', and a map needs numbers."),
        ("i0 + w", "46", "`w` is not a word here."),
        ("hash(i0) * 2", "49", "`hash(i0) * 2` is too large: whole numbers stay within ±2⁶³."),
        ("floor(i0 * 1e300)", "49", "`floor(…)` is too large: whole numbers stay within ±2⁶³."),
        ("i0 * 1e200 * 1e200", "49", "`i0 * 1e+200 * 1e+200` is too large: whole numbers stay within ±2⁶³."),
        ("i0 ** 65", "49", "`i0 ** 65` is too large: whole numbers stay within ±2⁶³."),
        ("hash(i0 / 3)", "48", "`hash(i0 / 3)`: hash takes whole numbers and texts."),
        ("i0 in m", "48", "`i0 in m`: in a map `in` needs a list, such as [0, 3]."),
        ("2 ** -i0", "48", "`2 ** (-i0)`: an exponent in a map is a whole number of 0 or more."),
    ],
)
def test_mistakes(text, code, message):
    index_map = ScalarMap(text, (("m", "q"), ("z", 0)))
    with pytest.raises(Mistake) as caught:
        map_cells(index_map, (4, 3))
    assert (caught.value.code, caught.value.text) == (code, message)


def test_more_values_than_a_tensor_has():
    with pytest.raises(Mistake, match=r"names up to 9223372036854775807.*End it with % ‹how many›"):
        count_values(ScalarMap("hash(i0)"), (4,))


def file_map(*entries, shape=None, count=None):
    content = b"".join(entry.to_bytes(8, "little", signed=True) for entry in entries)
    return FileMap("maps/de.json", "00", shape or (len(entries),), count or max(entries) + 1, content)


def test_files():
    assert map_cells(file_map(3, 1, -2, 0, 5, 5, shape=(2, 3)), (2, 3)).tolist() == [[3, 1, -2], [0, 5, 5]]
    assert count_values(file_map(3, 1, count=9), (2,)) == 9
    assert map_cells(FileMap("x", "", (0,), 0, b""), (0,)).shape == (0,)


def test_entries():
    check_entries(file_map(0, 1), (2,), "embed.weight")
    check_entries(ScalarMap("i0"), (2,), "embed.weight")
    with pytest.raises(Mistake) as caught:
        check_entries(file_map(*range(499)), (500,), "embed.de.weight", "row")
    assert caught.value.text == "maps/de.json has 499 entries, embed.de.weight 500 rows."
    with pytest.raises(Mistake) as caught:
        map_cells(file_map(0, 1), (1, 2))
    assert caught.value.code == "77"


def test_names():
    entries = [*range(17), 800, *range(5)]
    with pytest.raises(Mistake) as caught:
        check_names(file_map(*entries), (23,), "T", 800, "row")
    assert (caught.value.code, caught.value.text) == (
        "75",
        "maps/de.json names 800 at entry 17, and T has 800 rows: 0 … 799.",
    )
    check_names(file_map(*entries), (23,), "T", 801, "row")
    with pytest.raises(Mistake, match=r"`i1 - i0` names -1 at i0, i1 = 1, 0, and k has 5 cells: 0 … 4\."):
        check_names(ScalarMap("i1 - i0"), (3, 3), "k", 5, "cell")
    with pytest.raises(Mistake, match=r"names 3 at entry \[1, 0\], and k has 1 cell: 0\."):
        check_names(file_map(0, 0, 3, 0, shape=(2, 2)), (2, 2), "k", 1, "cell")
    check_names(ScalarMap("abs0 - i0", (("abs0", 2),)), (3,), "k", 3, "cell")  # bounds alone do not say so
    with pytest.raises(Mistake, match="divides by zero"):
        check_names(ScalarMap("i0 // i1"), (3, 3), "k", 5, "cell")


def test_binary_and_readable():
    check_binary(ScalarMap("i0 >= i1"), (3, 3))
    with pytest.raises(Mistake, match=r"`i0 \+ i1` names 2 at i0, i1 = 0, 2, and a mask is 0 or 1\."):
        check_binary(ScalarMap("i0 + i1"), (3, 3))
    check_readable(ScalarMap("i1 - i0"), (3, 3))
    check_readable(ScalarMap("i0 // (i1 - 5)"), (3, 3))
    with pytest.raises(Mistake, match="divides by zero"):
        check_readable(ScalarMap("i0 // (i1 - 1)"), (3, 3))


def test_on_the_meta_device_maps_are_still_numbers():
    with torch.device("meta"):
        assert map_cells(ScalarMap("i0 // 2"), (4,)).tolist() == [0, 0, 1, 1]
        assert map_cells(file_map(1, 0), (2,)).tolist() == [1, 0]


def test_called_in_messages():
    assert (name_map(file_map(0)), name_map(ScalarMap("i0 // 4"))) == ("maps/de.json", "`i0 // 4`")
