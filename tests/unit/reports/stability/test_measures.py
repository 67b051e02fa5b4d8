"""The measures against formulas written here, cell by cell, and against what must hold of any gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lightning_tying.gradients.statistics import UseStatistics
from lightning_tying.reports.stability import measures
from tests.unit.reports.stability.samples import measure

CELL = st.floats(-1e3, 1e3, width=32)


@st.composite
def gradients(draw: st.DrawFn, least: int = 1) -> Tensor:
    uses, cells = draw(st.integers(least, 6)), draw(st.integers(1, 5))
    return torch.tensor(draw(st.lists(st.lists(CELL, min_size=cells, max_size=cells), min_size=uses, max_size=uses)))


def by_hand(found: Tensor) -> tuple[float, list[float], list[list[float]]]:
    """κ, shares, cosines in plain Python."""
    rows = [[float(cell) for cell in row] for row in found]
    squares = [sum(cell * cell for cell in row) for row in rows]
    total = sum(sum(column) ** 2 for column in zip(*rows, strict=True))
    kappa = total / (len(rows) * sum(squares)) if sum(squares) else math.nan
    lengths = [math.sqrt(square) for square in squares]
    shares = [length / sum(lengths) if sum(lengths) else math.nan for length in lengths]
    dot = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in rows] for x in rows]
    cosines = [
        [dot[i][j] / (lengths[i] * lengths[j]) if lengths[i] * lengths[j] else math.nan for j in range(len(rows))]
        for i in range(len(rows))
    ]
    return kappa, shares, cosines


@settings(max_examples=60, deadline=None)
@given(gradients())
def test_every_measure_is_its_formula(found: Tensor):
    kappa, shares, cosines = by_hand(found)
    numbers = measure(found)
    assert measures.coherence(numbers) == pytest.approx(kappa, rel=1e-6, abs=1e-9, nan_ok=True)
    assert measures.shares(numbers) == pytest.approx(shares, rel=1e-6, nan_ok=True)
    assert measures.dominance(numbers) == pytest.approx(max(shares), rel=1e-6, nan_ok=True)
    table = measures.cosines(numbers)
    assert table is not None
    for row, wanted in zip(table.tolist(), cosines, strict=True):
        assert row == pytest.approx(wanted, abs=1e-6, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(gradients(), st.floats(1e-6, 1e6))
def test_coherence_lies_in_0_to_1_and_scale_does_not_matter(found: Tensor, scale: float):
    kappa = measures.coherence(measure(found))
    assert math.isnan(kappa) or 0 <= kappa <= 1
    assert measures.coherence(measure(found.double() * scale)) == pytest.approx(kappa, rel=1e-6, abs=1e-9, nan_ok=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(CELL, min_size=1, max_size=6).filter(any), st.integers(1, 7))
def test_identical_uses_have_1(cells: list[float], uses: int):
    numbers = measure(torch.tensor([cells] * uses))
    if max(numbers.norms) > 1e-30:
        assert measures.coherence(numbers) == pytest.approx(1)
        assert measures.dominance(numbers) == pytest.approx(1 / uses)


@given(st.integers(1, 8), st.floats(1e-3, 1e3))
def test_orthogonal_uses_have_1_over_k(uses: int, size: float):
    numbers = measure(torch.eye(uses) * size)
    assert measures.coherence(numbers) == pytest.approx(1 / uses)
    assert math.isnan(measures.conflict_rate(numbers)) if uses == 1 else measures.conflict_rate(numbers) == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(CELL, min_size=1, max_size=6).filter(lambda cells: max(map(abs, cells)) > 1e-3))
def test_uses_that_cancel_have_0_and_conflict(cells: list[float]):
    numbers = measure(torch.tensor([cells, [-cell for cell in cells]]))
    assert measures.coherence(numbers) == 0
    assert measures.conflict_rate(numbers) == 1


def test_conflict_rate_counts_pairs_below_0():
    found = torch.tensor([[1.0, 0.0], [-1.0, 0.1], [1.0, 1.0], [0.0, 1.0]])
    _, _, cosines = by_hand(found)
    pairs = [cosines[i][j] < 0 for i, j in itertools.combinations(range(4), 2)]
    assert measures.conflict_rate(measure(found)) == pytest.approx(sum(pairs) / len(pairs))


def test_a_use_without_gradient_has_no_cosine_and_counts_in_no_pair():
    numbers = measure(torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]))
    found = measures.cosines(numbers)
    assert found is not None
    assert found.isnan().tolist() == [[False, True, False], [True, True, True], [False, True, False]]
    assert measures.conflict_rate(numbers) == 1


def test_what_is_not_defined_is_nan():
    for numbers in (measure(torch.zeros(3, 2)), measure(torch.tensor([[math.nan, 1.0], [1.0, 1.0]]))):
        assert math.isnan(measures.coherence(numbers))
        assert all(math.isnan(share) for share in measures.shares(numbers))
    infinite = measure(torch.tensor([[math.inf, 1.0], [1.0, 1.0]]))
    assert math.isnan(measures.coherence(infinite)) and math.isnan(measures.conflict_rate(infinite))
    assert math.isnan(measures.update_to_weight(0.1, 0.0))
    assert measures.update_to_weight(0.1, 100.0) == pytest.approx(0.001)


def test_without_pairs_there_are_no_cosines_but_all_else():
    numbers = measure(torch.eye(3), pairs=False)
    assert measures.cosines(numbers) is None
    assert math.isnan(measures.conflict_rate(numbers))
    assert measures.coherence(numbers) == pytest.approx(1 / 3)


def test_tiny_and_huge_norms_neither_vanish_nor_overflow():
    for size in (1e-200, 1e200):
        assert measures.coherence_of([size, size], 2 * size) == pytest.approx(1)
        assert measures.coherence_of([size, size], math.sqrt(2) * size) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["normal", "signs", "one sign a column"])
def test_the_sketch_bound_holds_as_often_as_it_says(kind: str):
    generator = torch.Generator().manual_seed(1)
    cells, size, trials, confidence = 40, 64, 400, 0.9
    x, y = torch.randn(2, cells, generator=generator, dtype=torch.float64)
    bound = measures.sketch_error(size, confidence) * float(x.norm() * y.norm())
    errors = torch.tensor([_project_error(kind, x, y, size, generator) for _ in range(trials)])
    assert float((errors.abs() <= bound).double().mean()) >= confidence
    assert float(errors.std()) <= math.sqrt(2 / size) * float(x.norm() * y.norm()) * 1.1
    assert float(errors.std()) > 0.3 * math.sqrt(1 / size) * float(x.norm() * y.norm())  # the test does project


def _project_error(kind: str, x: Tensor, y: Tensor, size: int, generator: torch.Generator) -> float:
    shape = (size, len(x))
    if kind == "normal":
        project = torch.randn(shape, generator=generator, dtype=torch.float64) / math.sqrt(size)
    elif kind == "signs":
        project = (torch.randint(0, 2, shape, generator=generator).double() * 2 - 1) / math.sqrt(size)
    else:
        project = torch.zeros(shape, dtype=torch.float64)
        rows = torch.randint(0, size, (len(x),), generator=generator)
        project[rows, torch.arange(len(x))] = torch.randint(0, 2, (len(x),), generator=generator).double() * 2 - 1
    return float((project @ x) @ (project @ y) - x @ y)


@pytest.mark.parametrize(("size", "confidence"), [(0, 0.9), (64, 0.0), (64, 1.0)])
def test_a_sketch_of_nothing_is_refused(size: int, confidence: float):
    with pytest.raises(ValueError, match="sketch"):
        measures.sketch_error(size, confidence)


def test_what_a_sink_hands_on_is_read():
    numbers: measures.UseNumbers = UseStatistics(keys=(), norms=(3.0, 4.0), sum_norm=5.0)
    assert measures.coherence(numbers) == pytest.approx(0.5)
