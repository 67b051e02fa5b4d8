"""W6: residual outputs that were scaled for the layers stored, where more are executed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.initial.depth_scale import warn_depth_scale


class Layer(nn.Module):
    """A layer's matrices, as GPT-2 draws them, or Linear does, or Xavier."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norm = nn.LayerNorm(width)

    def draw(self, scaled_for: int | None) -> Layer:
        for matrix in (self.q, self.k, self.v, self.up):
            nn.init.normal_(matrix.weight, std=0.02)
        for matrix in (self.o, self.down):
            nn.init.normal_(matrix.weight, std=0.02 / (2 * scaled_for) ** 0.5 if scaled_for else 0.02)
        return self


def model(stored: int, executed: int, scaled_for: int | None) -> nn.Module:
    layers = [Layer().draw(scaled_for) for _ in range(stored)]
    return nn.ModuleDict(
        {"layers": nn.ModuleList(layers[i % stored] for i in range(executed)), "head": nn.Linear(32, 9)}
    )


def look(module: nn.Module):
    inventory = take_inventory(module)
    return warn_depth_scale(
        SharingGraph((), sites=inventory.sites), dict(module.named_parameters(remove_duplicate=False))
    )


@pytest.mark.parametrize(("stored", "executed", "said"), [
    (6, 12, "layers.0.down.weight was scaled for 6 stored layers; 12 are executed."),
    (1, 4, "layers.0.down.weight was scaled for 1 stored layer; 4 are executed."),
    (2, 3, "layers.0.down.weight was scaled for 2 stored layers; 3 are executed."),
])  # fmt: skip
def test_scaled_for_the_stored_layers(stored, executed, said):
    (warning,) = look(model(stored, executed, stored))
    assert (warning.code, warning.text) == ("W6", said)


@pytest.mark.parametrize(
    ("stored", "executed", "scaled_for"),
    [(6, 12, 12), (6, 12, None), (1, 12, 12), (6, 6, 6), (12, 13, 12), (6, 12, 9)],
)
def test_other_scales_are_nobodys_fault(stored, executed, scaled_for):
    assert not look(model(stored, executed, scaled_for))


@pytest.mark.parametrize("rule", [nn.init.xavier_uniform_, nn.init.xavier_normal_, nn.init.kaiming_normal_, None])
@pytest.mark.parametrize("stored", [1, 2, 4])
def test_rules_of_inputs_and_outputs_are_not_taken_for_it(rule, stored):
    module = model(stored, 8, stored)
    for part in module.modules():
        if isinstance(part, nn.Linear):
            part.reset_parameters() if rule is None else rule(part.weight)
    assert not look(module)


def test_two_outputs_of_wide_inner_layers_are_not_taken_for_it():
    layers = [
        nn.ModuleList([nn.Linear(32, 128), nn.Linear(128, 32), nn.Linear(32, 128), nn.Linear(128, 32)])
        for _ in range(2)
    ]  # torch's own rule of inputs gives the outputs half the deviation, which is 1 / √(2 · 2)
    assert not look(nn.ModuleDict({"layers": nn.ModuleList(layers * 3)}))


def test_only_some_layers_are_at_several_paths():
    module = model(3, 3, 3)
    first, middle, last = module["layers"]
    module["layers"] = nn.ModuleList([first, *([middle] * 6), last])
    (warning,) = look(module)
    assert warning.text == "layers.1.down.weight was scaled for 3 stored layers; 8 are executed."


def test_a_trained_layer_says_nothing():
    module = model(6, 12, 6)
    with torch.no_grad():
        module["layers"][0].q.weight *= 1.7
        module["layers"][0].k.weight *= 1.3
    assert not look(module)


def test_nothing_is_asked_of_meta():
    assert not look(model(6, 12, 6).to("meta"))
