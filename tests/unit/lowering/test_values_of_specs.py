"""Initial values of whole specs on a model: what `tie` writes and reports."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.lowering.state import require_state


class Stack(nn.Module):
    def __init__(self, depth: int = 4, width: int = 12) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, width)
        self.layers = nn.ModuleList(
            nn.ModuleDict({"up": nn.Linear(width, 20), "down": nn.Linear(20, width), "norm": nn.LayerNorm(width)})
            for _ in range(depth)
        )


def tied(*entries, parameters=None):
    torch.manual_seed(0)
    module = Stack()
    before = {fqn: parameter.detach().clone() for fqn, parameter in module.named_parameters()}
    with warnings.catch_warnings(action="ignore"):  # the report has them
        tie(module, {"share": list(entries), "parameters": parameters or {}})
    return module, before, require_state(module).report


def site(module, fqn):
    path, _, tensor = fqn.rpartition(".")
    return getattr(module.get_submodule(path), tensor).detach()


RELAXED = {
    "sites": "layers.{l}.{name*}.weight",
    "equals": "W[name, l % 2] + low_rank(min(99, d0, d1))",
    "where": "ndim == 2",
    "init": {"W": "mean", "low_rank": "svd"},
}


def test_full_rank_gives_the_trained_layers_back():
    module, before, report = tied(RELAXED)
    for fqn, value in before.items():
        torch.testing.assert_close(site(module, fqn), value, rtol=1e-5, atol=1e-5)
    assert len(report.distances) == 8 and report.worst[0][1] < 1e-5 and not report.warnings


def test_a_fresh_delta_leaves_the_mean():
    module, before, _ = tied({**RELAXED, "init": {"W": "mean"}})
    for kind in ("up", "down"):
        mean = (before[f"layers.1.{kind}.weight"] + before[f"layers.3.{kind}.weight"]) / 2
        torch.testing.assert_close(site(module, f"layers.1.{kind}.weight"), mean)


@pytest.mark.parametrize(("rule", "sources"), [("stepwise", [0, 3]), ("site(layers.2.{name}.weight)", [2, 2])])
def test_a_delta_on_a_chosen_layer(rule, sources):
    module, before, _ = tied({**RELAXED, "init": {"W": rule}})
    for number in range(4):
        assert torch.equal(
            site(module, f"layers.{number}.up.weight"), before[f"layers.{sources[number % 2]}.up.weight"]
        )


def test_joint_fits_of_enough_rank_are_exact():
    module, before, _ = tied(
        {"sites": "layers.{l}.up.weight", "equals": "basis(B, 12)", "init": {"B": "svd_joint"}},
        {"sites": "layers.{l}.down.weight", "equals": "mix(T, 4)", "init": {"T": "svd_joint"}},
    )
    for fqn, value in before.items():
        torch.testing.assert_close(site(module, fqn), value, rtol=1e-5, atol=1e-5)


def test_a_named_parameter_that_nothing_reads_as_it_is_is_first():
    module, before, _ = tied("embed.weight = E @ P", parameters={"E": {"shape": ["_", 12]}})
    torch.testing.assert_close(site(module, "embed.weight"), before["embed.weight"], rtol=1e-5, atol=1e-5)


def test_templates_keep_the_variance_and_the_order_of_equations_changes_nothing():
    entries = ["layers.{l}.up.weight = mix(T, 4)", "layers.{l}.down.weight = hashed(pool)", "embed.weight = R @ S"]
    rest = {"pool": {"shape": [150]}, "S": {"shape": [5, "_"], "init": "normal"}}
    module, before, _ = tied(*entries, parameters=rest)
    for number in range(4):
        ratio = site(module, f"layers.{number}.up.weight").std() / before[f"layers.{number}.up.weight"].std()
        assert float(ratio) == pytest.approx(1, rel=0.2)
    other, _, _ = tied(*reversed(entries), parameters=rest)
    assert module.state_dict().keys() == other.state_dict().keys()
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in module.state_dict().items())


def test_sites_of_one_pool_that_differ_are_told_of():
    entry = {"sites": "**.weight", "where": "ndim == 2", "equals": "hashed(pool)"}
    _, _, report = tied(entry, parameters={"pool": {"shape": [150]}})
    assert [warning.code for warning in report.warnings] == ["W4"]  # the embedding's deviation is 1
