"""A sharded module names each shared tensor once; loads take both forms; a full file has all names again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.fsdp import fully_shard

from lightning_tying import get_plan, tie, verify
from lightning_tying.parallel.sharding.sharded_state import add_aliases, install_sharded_state, leave_out_aliases

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
SPEC = {
    "share": [
        {"tie": ["embed.weight", "head.weight"], "name": "E"},
        {"sites": "layers.{l}.weight", "equals": "mix(T, 2)"},
        "layers.{l}.bias = b",
    ]
}
ALIASES = {"head.weight", "layers.1.parametrizations.weight.0.T", "layers.1.bias"}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(10, 6), nn.Linear(6, 10, bias=False)
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = self.embed(tokens)
        for layer in self.layers:
            hidden = torch.tanh(layer(hidden))
        return self.head(hidden)


@pytest.fixture(autouse=True)
def one_process(tmp_path: Path) -> Iterator[None]:
    if not dist.is_initialized():
        dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
        yield
        dist.destroy_process_group()
    else:
        yield


def sharded(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    net = Net()
    tie(net, SPEC)
    fully_shard(net)
    install_sharded_state(net)
    return net


def values(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.full_tensor().detach().clone() for name, parameter in net.named_parameters()}


def check_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def step(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    net(torch.arange(10)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_only_keepers_are_named_and_twice_is_once() -> None:
    net = sharded()
    install_sharded_state(net)
    hooks: Any = net._state_dict_hooks
    assert list(hooks.values()).count(leave_out_aliases) == 1
    names = {name for name, _ in net.named_parameters(remove_duplicate=False)}
    assert names - net.state_dict().keys() == ALIASES
    assert pickle.loads(pickle.dumps(leave_out_aliases)) is leave_out_aliases


def test_before_it_is_sharded_all_names_are_there() -> None:
    net = Net()
    tie(net, SPEC)
    install_sharded_state(net)
    assert net.state_dict().keys() >= ALIASES


def test_below_another_module_the_names_have_its_prefix() -> None:
    around = nn.ModuleDict({"network": sharded(), "other": nn.Linear(2, 2)})
    state = around.state_dict()
    assert "network.embed.weight" in state and "network.head.weight" not in state and "other.weight" in state
    around.load_state_dict(state)
    verify(around)


def test_a_distributed_checkpoint_holds_each_tensor_once_and_loads(tmp_path: Path) -> None:
    net, other = sharded(0), sharded(1)
    dcp.save({"model": net.state_dict()}, checkpoint_id=tmp_path)
    held = dcp.FileSystemReader(tmp_path).read_metadata().state_dict_metadata
    assert {f"model.{name}" for name, _ in net.named_parameters()} == set(held)
    state = {"model": other.state_dict()}
    dcp.load(state, checkpoint_id=tmp_path)
    other.load_state_dict(state["model"])
    check_equal(values(other), values(net))
    verify(other)


def test_model_and_optimizer_through_torchs_own_functions(tmp_path: Path) -> None:
    nets = [sharded(0), sharded(1)]
    optimizers = [torch.optim.AdamW(net.parameters(), lr=0.1) for net in nets]
    for net, optimizer in zip(nets, optimizers, strict=True):
        step(net, optimizer)
    model, moments = get_state_dict(nets[0], optimizers[0])
    dcp.save({"model": model, "optimizer": moments}, checkpoint_id=tmp_path)
    model, moments = get_state_dict(nets[1], optimizers[1])
    state = {"model": model, "optimizer": moments}
    dcp.load(state, checkpoint_id=tmp_path)
    set_state_dict(nets[1], optimizers[1], model_state_dict=state["model"], optim_state_dict=state["optimizer"])
    for net, optimizer in zip(nets, optimizers, strict=True):
        step(net, optimizer)
    check_equal(values(nets[1]), values(nets[0]))


@pytest.mark.parametrize("complete", [False, True])
def test_a_full_state_dict_loads_into_shards_and_into_a_plain_tied_module(complete: bool) -> None:
    net, other, single = sharded(0), sharded(1), Net()
    tie(single, SPEC)
    state = get_model_state_dict(net, options=StateDictOptions(full_state_dict=True))
    assert not ALIASES & state.keys()
    if complete:
        add_aliases(net, state)
        assert state["head.weight"] is state["embed.weight"] and state.keys() >= ALIASES
    single.load_state_dict(state)
    check_equal({name: parameter.detach() for name, parameter in single.named_parameters()}, values(net))
    set_model_state_dict(other, dict(state), options=StateDictOptions(full_state_dict=True, strict=complete))
    check_equal(values(other), values(net))
    verify(other)


def test_shards_get_no_aliases() -> None:
    net = sharded()
    state = net.state_dict()
    add_aliases(net, state)
    assert not ALIASES & state.keys()


def test_a_lost_tie_keeps_both_names() -> None:
    net = sharded()
    net.head.weight = nn.Parameter(net.head.weight.detach().clone())
    assert "head.weight" in net.state_dict()
    assert get_plan(net).graph.groups[0].keeper == "embed.weight"
