"""`verify` names group, sites and likely cause."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from lightning_tying.api import get_plan, tie, untie, verify
from lightning_tying.errors import ApplyError, TieBroken


class Double(nn.Module):
    def forward(self, x):
        return 2 * x


def replace(module):
    module.head.weight = nn.Parameter(torch.zeros(12, 8))


def parametrized(module):
    parametrize.register_parametrization(module.head, "weight", Double())


def deleted(module):
    del module.head.weight


def set_to_none(module):
    module.head.weight = None


def exchanged(module):
    module.head = nn.Identity()


def alone_to_meta(module):
    module.head.to("meta")


def alone_to_double(module):
    with torch.no_grad():
        module.head.weight = nn.Parameter(module.head.weight.double())


def same_memory(module):
    module.head.weight = nn.Parameter(module.embed.weight.data)


def resized(module):
    module.embed.weight = nn.Parameter(torch.zeros(13, 8))


BREAKS = {
    replace: r"`E`: head.weight does not read the parameter of embed.weight any more; the parameter of one of",
    parametrized: r"`E`: head.weight is not a parameter any more: a parametrization was registered",
    lambda m: nn.utils.weight_norm(m.head): "weight_norm replaced it",
    lambda m: prune.random_unstructured(m.head, "weight", 0.5): "pruning",
    deleted: "Linear has no attribute `weight`: it was deleted",
    set_to_none: "it was set to None",
    exchanged: "its module was exchanged",
    alone_to_meta: "they are on cpu and meta: a part was moved by itself",
    alone_to_double: "converted by itself",
    same_memory: "they share memory but are two parameters",
    resized: r"they are \[13, 8\] and \[12, 8\]: one was resized",
}


@pytest.mark.parametrize("break_tie", BREAKS)
def test_causes(tower, spec, break_tie):
    tie(tower, spec)
    verify(tower)
    break_tie(tower)
    with pytest.raises(TieBroken, match=BREAKS[break_tie]):
        verify(tower)


def test_all_broken_groups_at_once_with_the_remedy(tower, spec):
    tie(tower, spec)
    replace(tower)
    tower.layers[2]["up"].bias = nn.Parameter(torch.zeros(8))
    with pytest.raises(TieBroken) as error:
        verify(tower)
    text = str(error.value)
    assert "`E`" in text and "`block[up.bias, 0]`" in text and "tie(module, get_plan(module))" in text
    tie(tower, get_plan(tower))
    verify(tower)


def test_the_remedy_is_told_only_where_it_works(tower, spec):
    tie(tower, spec)
    nn.utils.weight_norm(tower.head)
    with pytest.raises(TieBroken) as error:
        verify(tower)
    assert "Remove weight_norm" in str(error.value) and "To tie again" not in str(error.value)


def test_a_part_that_is_untied_by_itself(tower):
    parent = nn.ModuleDict({"tower": tower})
    tie(parent, {"share": [{"tie": ["tower.embed.weight", "tower.head.weight"]}]})
    untie(tower)
    with pytest.raises(TieBroken, match=r"tower.head.weight does not read .* untied or tied in a part"):
        verify(parent)


def test_removed_layers(tower, spec):
    tie(tower, spec)
    del tower.layers[3]
    with pytest.raises(TieBroken, match=r"layers.3 is not a module any more: `layers` \(ModuleList\) has no `3`"):
        verify(tower)


def test_untied_module(tower):
    with pytest.raises(ApplyError, match="Call tie"):
        verify(tower)


def test_copy_is_checked_by_itself(tower, spec):
    tie(tower, spec)
    twin = copy.deepcopy(tower)
    replace(twin)
    verify(tower)
    with pytest.raises(TieBroken):
        verify(twin)
