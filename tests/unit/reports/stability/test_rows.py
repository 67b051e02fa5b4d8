"""Numbers by language and row group against the same numbers of the rows taken out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lightning_tying.reports.stability.measures import coherence
from lightning_tying.reports.stability.rows import measure_rows
from tests.unit.reports.stability.samples import measure


def test_each_group_has_the_numbers_of_its_rows_alone():
    gradients = torch.randn(3, 10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    groups = {"de": [0, 1, 2], "en": torch.tensor([2, 3, 9]), "all": range(10)}
    found = measure_rows(gradients.norm(dim=2), gradients.sum(dim=0).norm(dim=1), groups)
    for name, rows in (("de", [0, 1, 2]), ("en", [2, 3, 9]), ("all", list(range(10)))):
        alone = gradients[:, rows].flatten(1)
        assert found[name].norms == pytest.approx(alone.norm(dim=1).tolist())
        assert found[name].kappa == pytest.approx(coherence(measure(alone)))
        assert found[name].share == pytest.approx(float(alone.square().sum() / gradients.square().sum()))
        assert found[name].rows == len(rows)


def test_a_row_named_twice_counts_once():
    ones = torch.ones(2, 3)
    assert measure_rows(ones, 2 * ones[0], {"a": [1, 1]})["a"].rows == 1


def test_rows_without_gradient_have_no_coherence():
    norms = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    found = measure_rows(norms, torch.tensor([2.0, 0.0]), {"used": [0], "unused": [1], "none": []})
    assert found["used"].kappa == 1
    assert math.isnan(found["unused"].kappa) and found["unused"].share == 0
    assert found["none"].rows == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="Rows of `de` go from 0 to 3; there are 3"):
        measure_rows(torch.ones(2, 3), torch.ones(3), {"de": [0, 3]})
    with pytest.raises(ValueError, match="do not fit"):
        measure_rows(torch.ones(2, 3), torch.ones(4), {})
