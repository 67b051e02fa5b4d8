"""Plans for tensor parallel: what is divided, what is refused; made on the meta device, without processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import distributed, nn
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from lightning_tying import get_plan, tie, verify
from lightning_tying.errors import ApplyError, ConfigError
from lightning_tying.models import ConvNet, DecoderLM, EncoderClassifier, EncoderDecoder
from lightning_tying.parallel.tensor.placements import restore_ties
from lightning_tying.parallel.tensor.plan import TensorParallelPlan, apply_tensor_parallel, plan_tensor_parallel

PAIR = {"tie": ["embed.weight", "head.weight"]}


def _decoder(*share: Any, **sizes: int) -> DecoderLM:
    with torch.device("meta"):
        network = DecoderLM(**cast(Any, {"vocab_size": 50, "dim": 16, "depth": 4, "heads": 4, "hidden": 32, **sizes}))
    tie(network, {"share": list(share)})
    return network


def _plan(network: nn.Module, styles: Any = None, size: int = 2) -> TensorParallelPlan:
    return plan_tensor_parallel(get_plan(network).graph, network, styles, size=size)


def test_embedding_and_head_are_divided_alike_and_once() -> None:
    plan = _plan(_decoder(PAIR, "layers.{l}.{name*} = block[name, cycle(l, 2)]"))
    cuts = dict(plan.cuts)
    assert cuts["embed.weight"] == 0 and "head.weight" not in cuts
    assert cuts["layers.1.attn.o.weight"] == 1 and cuts["layers.1.attn.q.weight"] == 0
    assert cuts["layers.0.norm1.weight"] is None and cuts["norm.weight"] is None
    assert not any(place.startswith(("layers.2", "layers.3")) for place in cuts)


def test_the_other_shipped_models_have_a_plan() -> None:
    with torch.device("meta"):
        classifier = EncoderClassifier(30, classes=3, dim=16, depth=2, heads=2)
        translator = EncoderDecoder(30, dim=16, depth=2, heads=2)
    tie(classifier, {"share": ["layers.{l}.{name*} = block[name]"]})
    tie(translator, {"share": [{"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"]}]})
    assert dict(_plan(classifier).cuts)["head.weight"] is None
    cuts = dict(_plan(translator).cuts)
    assert cuts["encoder.embed.weight"] == 0
    assert (cuts["decoder.layers.1.cross_attn.o.weight"], cuts["decoder.layers.1.cross_attn.o.bias"]) == (1, None)
    assert (cuts["encoder.layers.0.fc1.weight"], cuts["encoder.layers.0.fc1.bias"]) == (0, 0)


def test_templates_are_divided_and_coefficients_are_not() -> None:
    plan = _plan(_decoder({"sites": "layers.{l}.mlp.{name}.weight", "equals": "mix(T[name], 3)"}))
    cuts = dict(plan.cuts)
    slots = {place.rpartition(".")[2]: cut for place, cut in cuts.items() if place.startswith("layers.0.mlp.up")}
    assert slots == {"T": 1, "mix_a": None}
    down = {place.rpartition(".")[2]: cut for place, cut in cuts.items() if place.startswith("layers.0.mlp.down")}
    assert down == {"T": 2, "mix_a": None}
    assert all(each.parts for each in plan.derived)


def test_a_base_that_an_alias_divides_otherwise_is_gathered() -> None:
    network = _decoder("layers.{l:0}.mlp.up.weight = U", "layers.{l:1|2}.mlp.down.weight = t(U) + low_rank(2)")
    plan = _plan(network)
    assert [each.parts for each in plan.derived] == [True, True]
    assert dict(plan.cuts)["layers.0.mlp.up.weight"] == 0
    network = _decoder("layers.{l:0}.attn.q.weight = U", "layers.{l:1}.attn.o.weight = U + low_rank(2)")
    (derived,) = _plan(network).derived
    assert not derived.parts and "divided otherwise" in derived.reason


def test_functions_without_a_rule_are_computed_whole() -> None:
    network = _decoder("layers.{l}.mlp.up.weight = normalize(U)")
    plan = _plan(network)
    assert {each.reason for each in plan.derived} == {"`normalize` may read cells of other parts"}
    assert "computed whole, then cut" in str(plan)
    json.dumps(plan.to_dict())


def test_aliases_that_would_be_divided_in_two_ways_are_refused() -> None:
    network = _decoder("layers.{l}.attn.{part:q|o}.weight = W[l]")
    with pytest.raises(
        ApplyError, match=r"`W\[0\]`.*along dimension 0 for layers.0.attn.q.weight and along dimension 1"
    ):
        _plan(network)


def test_dropout_in_a_value_is_refused() -> None:
    network = _decoder("layers.{l}.mlp.up.weight = drop(U, 0.1)")
    with pytest.raises(ApplyError, match="dropout"):
        _plan(network)


def test_heads_must_divide() -> None:
    with pytest.raises(ApplyError, match=r"layers.0.attn.k has 1 heads of 4 channels, and 2 processes"):
        _plan(_decoder(PAIR, kv_heads=1))
    with pytest.raises(ApplyError, match="out_features 33"):
        _plan(_decoder(PAIR, hidden=33))


def test_a_network_without_a_plan_says_how_to_give_one() -> None:
    with torch.device("meta"):
        network = ConvNet(channels=1, classes=10)
    tie(network, {"share": ["stages.0.{block}.conv{n}.weight = K"]})
    with pytest.raises(ConfigError, match=r"ConvNet has no plan for tensor parallel.*tensor_parallel_styles"):
        _plan(network)


@pytest.mark.parametrize(
    ("styles", "message"),
    [
        ({"layers.{l}.attn.q": "sideways"}, "'sideways' is not known"),
        ({"blocks.{l}.q": "colwise"}, "matches no module"),
        ({"layers.{l": "colwise"}, "tensor_parallel: layers"),
        ({"layers.{l}.norm1": "colwise"}, "is a RMSNorm"),
        ({"layers.{l}.attn.q": "colwise", "layers.0.attn.{x}": "rowwise"}, "is colwise by"),
        (["colwise"], "is a mapping"),
    ],
)
def test_what_the_user_writes_is_checked(styles: Any, message: str) -> None:
    with pytest.raises((ConfigError, ApplyError), match=message):
        _plan(_decoder(PAIR), styles)


def test_styles_of_the_user_take_the_place_of_the_networks() -> None:
    cuts = dict(_plan(_decoder(PAIR), {"embed": "rowwise", "head": "colwise_gather"}).cuts)
    assert cuts["embed.weight"] == 0 and cuts["layers.0.attn.q.weight"] is None


def test_modules_that_read_parameters_themselves_stay_ordinary() -> None:
    class Network(nn.Module):
        tensor_parallel_styles: ClassVar = {"up": "colwise", "down": "rowwise"}

        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
            self.attention = nn.MultiheadAttention(4, 2)

    network = Network()
    tie(network, {"share": ["up.weight = W", "down.weight = t(W)"]})
    styles = dict(_plan(network).styles)
    assert styles == {"up": "colwise", "down": "rowwise", "attention": "plain", "attention.out_proj": "plain"}


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    """Of one process."""
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,), mesh_dim_names=("tensor_parallel",))
    distributed.destroy_process_group()


def test_a_network_on_the_meta_device_or_for_another_mesh_is_refused(mesh: DeviceMesh) -> None:
    network = _decoder(PAIR)
    with pytest.raises(ApplyError, match=r"embed.weight is on the meta device"):
        apply_tensor_parallel(network, _plan(network, size=1), mesh)
    with pytest.raises(ApplyError, match="The plan is for 2 processes"):
        apply_tensor_parallel(network, _plan(network), mesh)


def test_distributing_twice_is_refused_and_a_late_tie_too(mesh: DeviceMesh) -> None:
    network = DecoderLM(20, dim=8, depth=2, heads=2)
    tie(network, {"share": [PAIR]})
    plan = _plan(network, size=1)
    apply_tensor_parallel(network, plan, mesh)
    verify(network)
    assert isinstance(network.head.weight, DTensor) and network.head.weight is network.embed.weight
    with pytest.raises(ApplyError, match="is distributed already"):
        apply_tensor_parallel(network, plan, mesh)
    late = DecoderLM(20, dim=8, depth=2, heads=2)
    parallelize_module(late, mesh, {"embed": RowwiseParallel()})
    with pytest.raises(ApplyError, match="before fully_shard or parallelize_module"):
        tie(late, {"share": [PAIR]})


def test_ties_are_restored_after_a_parallelize_module_of_the_users(mesh: DeviceMesh) -> None:
    network = DecoderLM(20, dim=8, depth=2, heads=2)
    tie(network, {"share": [PAIR]})
    parallelize_module(network, mesh, {"embed": RowwiseParallel(), "head": ColwiseParallel()})
    assert network.head.weight is not network.embed.weight
    assert [str(link) for link in restore_ties(network)] == ["head.weight -> embed.weight"]
    assert network.head.weight is network.embed.weight
    verify(network)


@pytest.mark.parametrize(
    ("styles", "message"),
    [
        ({"embed": RowwiseParallel(), "head": RowwiseParallel()}, r"embed.weight is .*S\(0\).*head.weight .*S\(1\)"),
        ({"embed": RowwiseParallel()}, "an ordinary tensor"),
    ],
)
def test_places_that_were_distributed_differently_are_refused(mesh: DeviceMesh, styles: Any, message: str) -> None:
    network = DecoderLM(20, dim=8, depth=2, heads=2)
    tie(network, {"share": [PAIR]})
    parallelize_module(network, mesh, styles)
    with pytest.raises(ApplyError, match=message) as caught:
        restore_ties(network)
    assert "different ways" in str(caught.value)
    assert network.head.weight is not network.embed.weight
