"""What cannot be tied is refused by name."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from lightning_tying.api import discover, get_plan, make_plan, report_savings, tie, untie, verify
from lightning_tying.errors import ApplyError, TieBroken


@pytest.fixture
def process_group(tmp_path):
    if not torch.distributed.is_available():
        pytest.skip("this torch has no torch.distributed")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("function", [tie, make_plan, discover, verify, untie, get_plan])
@pytest.mark.parametrize("thing", [None, 3, "model", {}, nn.Linear])
def test_not_a_module(function, thing, spec):
    arguments = (thing, spec) if function in (tie, make_plan) else (thing,)
    with pytest.raises(ApplyError, match=r"needs a torch\.nn\.Module"):
        function(*arguments)


@pytest.mark.parametrize("function", [tie, make_plan, discover, untie])
def test_torchscript(function, spec):
    scripted = torch.jit.script(nn.Sequential(nn.Linear(2, 2)))
    arguments = (spec,) if function in (tie, make_plan) else ()
    with pytest.raises(ApplyError, match=rf"Sequential is TorchScript.* Call {function.__name__} before torch\.jit"):
        function(scripted, *arguments)


def test_torchscript_inside(spec):
    with pytest.raises(ApplyError, match=r"Linear is TorchScript"):
        tie(nn.ModuleDict({"a": torch.jit.script(nn.Linear(2, 2))}), spec)


def test_ddp(tower, spec, process_group):
    wrapped = nn.parallel.DistributedDataParallel(tower)
    for function, arguments in ((tie, (spec,)), (untie, ())):
        with pytest.raises(ApplyError, match="came after DistributedDataParallel"):
            function(wrapped, *arguments)


def test_tied_before_ddp(tower, spec, tokens, process_group):
    plan = tie(tower, spec)
    wrapped = nn.parallel.DistributedDataParallel(tower)
    assert get_plan(wrapped) is plan
    wrapped(tokens).sum().backward()
    state = {key: torch.ones_like(value) for key, value in wrapped.state_dict().items() if "head" not in key}
    wrapped.load_state_dict(state)
    verify(wrapped)


def test_sharded(tower, spec, process_group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (1,))
    fully_shard(tower.layers[1]["up"], mesh=mesh)
    with pytest.raises(ApplyError, match=r"`layers\.1\.up` is sharded already"):
        tie(tower, spec)


def test_one_member_sharded_by_itself(tower, spec, process_group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    plan = tie(tower, spec)
    fully_shard(tower.head, mesh=init_device_mesh("cpu", (1,)))
    with pytest.raises(TieBroken, match=r"fully_shard took one of embed.weight and head.weight .* fully_shard\(\[one"):
        verify(tower)
    before = tower.head.weight, tower.embed.weight
    for source in (spec, plan):
        with pytest.raises(ApplyError, match="fully_shard took one of"):
            tie(tower, source)
    assert tower.head.weight is before[0] and tower.embed.weight is before[1]


def test_drawn_init_reaches_sharded_meta_parameters(new_tower, process_group):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    spec = {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E", "init": "normal(0.02)"}]}
    eager = new_tower()
    tie(eager, spec)
    with torch.device("meta"):
        lazy = new_tower()
        tie(lazy, spec)
    fully_shard(lazy, mesh=init_device_mesh("cpu", (1,)))
    lazy.to_empty(device="cpu")
    verify(lazy)
    assert torch.equal(lazy.embed.weight.full_tensor(), eager.embed.weight)
    lazy.embed.reset_parameters()
    assert torch.equal(lazy.head.weight.full_tensor(), eager.embed.weight)


def test_sites_and_graphs_of_other_types(tower, spec):
    tie(tower, spec)
    for wrong in (3, [3], [None]):
        with pytest.raises(ApplyError, match="Sites are FQNs"):
            untie(tower, wrong)
    untie(tower, "head.weight")
    assert tower.head.weight is not tower.embed.weight
    with pytest.raises(ApplyError, match=r"Pass report_savings\(get_plan\(module\)\)"):
        report_savings(tower)
    with pytest.raises(ApplyError, match="Pass what tie or discover returned"):
        report_savings(None)
