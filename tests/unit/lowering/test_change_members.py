"""`change_members`: share, untie or refuse, and nothing half done."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from lightning_tying.api import get_plan, tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.change_members import change_members

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


def normed(module):
    for layer in module.layers:
        parametrizations.weight_norm(layer["up"])


def quantized(module):
    return torch.ao.quantization.quantize_dynamic(module, {nn.Linear})


def randomly_pruned(module):
    for layer in module.layers:
        prune.random_unstructured(layer["up"], "weight", 0.5)


@pytest.fixture
def tied(tower):
    tie(tower, {"share": ["layers.{l}.up.weight = W[l % 2]", {"tie": ["embed.weight", "head.weight"], "name": "E"}]})
    return tower


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_unchanged(module, before):
    verify(module)
    after = module.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


def test_what_touches_no_tied_site_is_just_done(tied):
    assert change_members(tied, lambda m: parametrizations.weight_norm(m.layers[0]["norm"])) is tied
    verify(tied)
    assert "original0" in dict(tied.layers[0]["norm"].parametrizations["weight"].named_parameters())


def test_refuse_is_the_default_and_changes_nothing(tied):
    before = state_of(tied)
    with pytest.raises(ApplyError, match=r"layers.0.up.weight \(`W\[0\]`\).*on_tied='untie'"):
        change_members(tied, normed)
    assert_unchanged(tied, before)


def test_untie_parts_what_is_touched_and_no_more(tied, tokens):
    before = tied(tokens)
    change_members(tied, lambda m: parametrizations.weight_norm(m.layers[0]["up"]), on_tied="untie")
    verify(tied)
    torch.testing.assert_close(tied(tokens), before)
    assert {str(group.name): group.sites for group in get_plan(tied).graph.groups if len(group.uses) > 1} == {
        "W[1]": ("layers.1.up.weight", "layers.3.up.weight"),
        "E": ("embed.weight", "head.weight"),
    }


def test_share_ties_the_new_parameters(tied, tokens):
    before = tied(tokens)
    change_members(tied, normed, on_tied="share")
    torch.testing.assert_close(tied(tokens), before)
    one, other = (tied.layers[place]["up"].parametrizations["weight"] for place in (0, 2))
    assert one.original0 is other.original0 and one.original1 is other.original1
    assert "W.original0[1]" in {str(group.name) for group in get_plan(tied).graph.groups}
    tied.to("meta").to_empty(device="cpu")  # the new ties are kept as the old ones were
    verify(tied)
    assert one.original0 is other.original0
    one.original0 = nn.Parameter(one.original0.detach().clone())
    with pytest.raises(Exception, match=r"W.original0\[0\]"):
        verify(tied)


def test_a_shared_mask_is_one(tied):
    change_members(tied, randomly_pruned, on_tied="share")
    one, other = (tied.layers[place]["up"] for place in (1, 3))
    assert one.weight_mask is other.weight_mask and one.weight_orig is other.weight_orig
    assert tied.layers[0]["up"].weight_mask is not one.weight_mask


def test_the_change_itself_draws_the_numbers_that_it_would_have_drawn(tied):
    plain = copy.deepcopy(tied)
    torch.manual_seed(5)
    change_members(tied, randomly_pruned, on_tied="untie")
    torch.manual_seed(5)
    randomly_pruned(plain)
    for place in range(4):
        assert torch.equal(tied.layers[place]["up"].weight_mask, plain.layers[place]["up"].weight_mask)


def test_share_needs_all_members(tied):
    before = state_of(tied)
    with pytest.raises(ApplyError, match=r"layers.0.up.weight and not layers.2.up.weight"):
        change_members(tied, lambda m: parametrizations.weight_norm(m.layers[0]["up"]), on_tied="share")
    assert_unchanged(tied, before)


def test_share_needs_equal_layers(tied):
    def differently(module):
        parametrizations.weight_norm(module.layers[0]["up"])
        prune.l1_unstructured(module.layers[2]["up"], "weight", 0.5)

    before = state_of(tied)
    with pytest.raises(ApplyError, match=r"cannot be shared"):
        change_members(tied, differently, on_tied="share")
    assert_unchanged(tied, before)


def test_quantized_layers_share_what_they_pack(tower, tokens):
    tie(tower, {"share": ["layers.{l}.{name*} = block[name]"]})
    smaller = change_members(tower, quantized, on_tied="share")
    assert smaller is not tower
    packed = {id(layer["up"]._packed_params) for layer in smaller.layers}
    assert len(packed) == 1
    assert smaller(tokens).isfinite().all()
    verify(tower)


def test_quantized_heads_do_not_fit_embeddings(tied):
    with pytest.raises(ApplyError, match=r"head.weight and not embed.weight"):
        change_members(tied, quantized, on_tied="share")
    smaller = change_members(tied, quantized, on_tied="untie")
    assert "quantized" in type(smaller.head).__module__


def test_tensors_of_the_same_name_are_tied_again(tied):
    """What torchao does: the parameter stays where it is and holds another tensor."""

    def doubled(module):
        for layer in module.layers:
            layer["up"].weight = nn.Parameter(2 * layer["up"].weight.detach())

    before = tied.layers[0]["up"].weight.detach().clone()
    change_members(tied, doubled, on_tied="share")
    verify(tied)
    assert torch.equal(tied.layers[2]["up"].weight, 2 * before)


def test_derived_sites_get_their_values_written_in(tower, tokens):
    tie(tower, {"share": ["layers.{l}.up.weight = W + low_rank(2)"]})
    before = tower(tokens)
    with pytest.raises(ApplyError, match=r"is computed from shared parameters"):
        change_members(tower, normed, on_tied="share")
    change_members(tower, normed, on_tied="untie")
    torch.testing.assert_close(tower(tokens), before)


def test_a_part_of_a_model(tied, tokens):
    parent = nn.ModuleDict({"tower": tied})
    change_members(parent, lambda m: normed(m["tower"]), on_tied="share")
    verify(parent)
    assert tied(tokens).isfinite().all()


def test_bad_arguments(tied):
    with pytest.raises(ApplyError, match=r"on_tied is one of share, untie, refuse, not 'part'"):
        change_members(tied, normed, on_tied="part")  # type: ignore[arg-type]


def test_a_module_that_cannot_be_copied(tied):
    prune.random_unstructured(tied.layers[0]["norm"], "weight", 0.5)
    tied.layers[0]["norm"].weight = tied.layers[0]["norm"].weight_orig * 1
    with pytest.raises(ApplyError, match=r"cannot be tried first"):
        change_members(tied, normed, on_tied="untie")
