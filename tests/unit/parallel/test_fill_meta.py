"""A module on meta becomes real with values that depend on the seed and the FQNs alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lightning_tying import tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM
from lightning_tying.parallel.sharding.fill_meta import fill_meta

SPECS: dict[str, list[Any]] = {
    "alias": [{"tie": ["embed.weight", "head.weight"]}],
    "mix": ["layers.{l}.mlp.up.weight = mix(T, 2)"],
    "delta": [{"sites": "layers.{l}.{n*}", "equals": "b[n] + low_rank(2)", "where": "ndim == 2"}],
    "drawn": [{"tie": ["embed.weight", "head.weight"], "name": "E", "init": "normal(0.3)"}],
}


def make(spec: str) -> nn.Module:
    with torch.device("meta"):
        network = DecoderLM(vocab_size=40, dim=16, depth=2, heads=2)
    tie(network, {"share": SPECS[spec]})
    return network


@pytest.mark.parametrize("spec", SPECS)
def test_values_follow_the_seed_and_ties_hold(spec: str) -> None:
    torch.manual_seed(5)
    one, two = make(spec), make(spec)
    fill_meta(one, "cpu")
    torch.rand(3)  # what is drawn in between changes nothing
    fill_meta(two, "cpu")
    verify(one)
    for (name, first), second in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.equal(first, second), name
        assert first.isfinite().all()
    torch.manual_seed(6)
    three = make(spec)
    fill_meta(three, "cpu")
    assert any(
        not torch.equal(first, second) for first, second in zip(one.parameters(), three.parameters(), strict=True)
    )


def test_the_user_s_random_numbers_stay_as_they_are() -> None:
    network = make("delta")
    torch.manual_seed(5)
    fill_meta(network, "cpu")
    drawn = torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(2))


def test_initializers_give_the_distribution_of_their_modules() -> None:
    network = make("drawn")
    fill_meta(network, "cpu")
    assert network.get_parameter("embed.weight").std().item() == pytest.approx(0.3, rel=0.1)
    assert network.get_parameter("layers.0.attn.q.weight").std().item() == pytest.approx(0.25, rel=0.2)
    assert torch.equal(network.get_parameter("norm.weight"), torch.ones(16))


def test_an_initializer_that_reaches_down_overrules_what_is_inside() -> None:
    with torch.device("meta"):
        attention = nn.MultiheadAttention(8, 2)
    fill_meta(attention, "cpu")
    assert torch.equal(attention.out_proj.bias, torch.zeros(8))
    assert attention.out_proj.weight.std() > 0.1


def test_a_module_without_initializer_is_refused_and_stays_on_meta() -> None:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))

    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(2, 2), Bare())
    with pytest.raises(ApplyError, match=r"1 \(Bare\) cannot be initialized"):
        fill_meta(module, "cpu")
    assert all(parameter.is_meta for parameter in module.parameters())


def test_a_real_module_is_left_alone() -> None:
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    fill_meta(module, "cpu")
    assert torch.equal(module.weight, before)
