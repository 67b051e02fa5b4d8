"""The report of initial values: of a tied module what its tie found, of another what a tie would find."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from torch import nn

from lightning_tying import make_plan, report_distances, tie
from lightning_tying.errors import ApplyError

RELAXED = """
share:
  - sites: "{l}.weight"
    equals: W + low_rank(2)
    init: {W: mean, low_rank: svd}
"""
LAYERS = 12


@pytest.fixture
def stack() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(*(nn.Linear(8, 6, bias=False) for _ in range(LAYERS)))


def expected_distances(stack: nn.Sequential) -> dict[str, float]:
    """By hand: the mean, then the rest cut at rank 2."""
    weights = [parameter.detach().double() for parameter in stack.parameters()]
    mean = torch.stack(weights).mean(0)
    lost = [torch.linalg.svdvals(weight - mean)[2:].norm() / weight.norm() for weight in weights]
    return {f"{number}.weight": float(each) for number, each in enumerate(lost)}


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
def test_report_before_and_after_the_tie_is_one_and_nothing_is_written_before(stack: nn.Sequential):
    before = copy.deepcopy(stack.state_dict())
    by_hand = expected_distances(stack)
    foreseen = report_distances(stack, RELAXED)
    assert foreseen == report_distances(stack, make_plan(stack, RELAXED))
    assert stack.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in stack.state_dict().items())
    tie(stack, RELAXED)
    assert report_distances(stack) == report_distances(stack, RELAXED) == foreseen
    assert dict(foreseen.distances) == pytest.approx(by_hand, abs=1e-5)
    assert [site for site, _ in foreseen.worst] == sorted(by_hand, key=by_hand.__getitem__, reverse=True)[:10]


def test_text_has_a_header_and_the_worst_ten(stack: nn.Sequential):
    header, *lines = str(report_distances(stack, RELAXED)).splitlines()
    assert header == "initial values, ‖site − value‖ / ‖site‖: 12 sites compared, the worst 10"
    assert len(lines) == 10 and all(line.endswith(".weight") for line in lines)


def test_site_that_keeps_its_parameter_is_at_zero_and_not_among_the_worst(stack: nn.Sequential):
    report = report_distances(stack, "share: ['{l}.weight = W']")
    assert dict(report.distances)["0.weight"] == 0.0 and len(report.distances) == LAYERS
    assert "0.weight" not in dict(report.worst)


def test_data_is_json_also_where_a_value_takes_the_place_of_zeros(stack: nn.Sequential):
    nn.init.zeros_(stack[3].weight)  # pyright: ignore[reportArgumentType]
    report = report_distances(stack, "share: ['{l}.weight = W']")
    assert dict(report.distances)["3.weight"] == math.inf and report.worst[0][0] == "3.weight"
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["distances"]["3.weight"] is None and data["distances"]["0.weight"] == 0.0
    assert data["warnings"] == []


def test_on_meta_there_is_nothing_to_compare_until_the_module_is_real():
    with torch.device("meta"):
        stack = nn.Sequential(*(nn.Linear(8, 6, bias=False) for _ in range(4)))
    tie(stack, RELAXED)
    assert str(report_distances(stack)) == "initial values: none to compare; the module is on the meta device"
    stack.to_empty(device="cpu")
    assert len(report_distances(stack).distances) == 4


def test_refusals_say_what_to_do(stack: nn.Sequential):
    with pytest.raises(ApplyError, match=r"Sequential is not tied\. Call tie\(module, spec\) first"):
        report_distances(stack)
    tie(stack, "share: ['{l}.weight = W']")
    with pytest.raises(ApplyError, match="already tied by another spec"):
        report_distances(stack, "share: ['{l}.weight = W[l % 2]']")
