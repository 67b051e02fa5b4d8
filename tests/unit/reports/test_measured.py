"""What was predicted is what is there."""

from __future__ import annotations

import torch
from torch import nn

from lightning_tying.api import make_plan, report_savings, tie
from lightning_tying.reports.reckoning.measured import measure_savings

SPEC = {"share": ["{i:0|1|2}.weight = W", "{i:0|1|2}.bias = b"], "parameters": {"b": {"frozen": True}}}


def make_model():
    return nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))


def test_prediction_on_meta_is_the_measurement():
    with torch.device("meta"):
        predicted = report_savings(make_plan(make_model(), SPEC))
    model = make_model()
    tie(model, SPEC)
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    measured = measure_savings(model, optimizer)
    assert measured.after == predicted.after and measured.before == predicted.before


def test_momentum_has_one_state():
    model = make_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    assert measure_savings(model, optimizer).after.optimizer_cells == sum(p.numel() for p in model.parameters())


def test_before_the_first_step_it_is_a_forecast():
    model = make_model()
    optimizer = torch.optim.AdamW(model.parameters())
    assert measure_savings(model, optimizer) == measure_savings(model)


def test_a_shared_number_has_optimizer_state_like_any_other_parameter():
    model = make_model()
    spec = {"share": [{"sites": "0.bias", "equals": "scale(b)"}]}
    predicted = report_savings(make_plan(model, spec))
    tie(model, spec)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randn(2, 4)).sum().backward()
    optimizer.step()
    assert measure_savings(model, optimizer).after == predicted.after
