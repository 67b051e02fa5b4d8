"""Messages name what probably happened, and the strategy."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parametrizations, parametrize, prune

from lightning_tying.api import tie, verify
from lightning_tying.errors import TieBroken
from lightning_tying.lowering.causes import explain_parted
from lightning_tying.lowering.strategy_words import name_strategy


@pytest.fixture
def one_process():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def cause(one, other, strategy=""):
    return explain_parted("a", nn.Parameter(one), "b", nn.Parameter(other), strategy)


def test_differences_of_two_parameters():
    ones = torch.ones(2, 2)
    assert "two devices" not in cause(ones, ones.clone())
    assert "cpu and meta" in cause(ones, ones.to("meta"))
    assert "[2, 2] and [4]" in cause(ones, torch.ones(4)) and "resize_vocabulary" in cause(ones, torch.ones(4))
    assert "torch.float32 and torch.float64" in cause(ones, ones.double())
    assert "share memory" in cause(ones, ones)
    assert "was replaced" in cause(ones, ones.clone())


def test_a_quantized_tensor_is_named():
    class Packed(torch.Tensor):
        pass

    packed = torch.ones(2).as_subclass(Packed)
    assert "two classes, Tensor and Packed" in cause(torch.ones(2), packed)


STYLES = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


@pytest.mark.parametrize("style", STYLES)
def test_torchs_own_parametrizations_are_named_as_they_are_called(tower, spec, style):
    tie(tower, spec)
    STYLES[style](tower.layers[0]["up"])
    with pytest.raises(TieBroken, match=rf"`block\[up.weight, 0\]`: layers.0.up.weight is not .*\({style}\)"):
        verify(tower)


def test_the_old_spectral_norm(tower, spec):
    tie(tower, spec)
    nn.utils.spectral_norm(tower.head)
    with pytest.raises(TieBroken, match=r"spectral_norm replaced it"):
        verify(tower)


def test_pruning_that_is_permanent_keeps_the_parameter(tower, spec):
    """torch puts the same parameter back: all sites read the pruned values."""
    tie(tower, spec)
    prune.l1_unstructured(tower.head, "weight", 0.5)
    prune.remove(tower.head, "weight")
    verify(tower)
    assert int((tower.embed.weight == 0).sum()) == 48


def test_a_derived_site_names_its_groups(tower):
    tie(tower, {"share": ["layers.{l}.up.weight = W + low_rank(2)"]})
    parametrize.remove_parametrizations(tower.layers[1]["up"], "weight", leave_parametrized=True)
    with pytest.raises(TieBroken, match=r"`W`: layers.1.up.weight is not computed .*holds a parameter of its own"):
        verify(tower)


def test_ddp_is_named(tower, spec, one_process):
    tie(tower, spec)
    wrapped = DistributedDataParallel(tower)
    tower.head.weight = nn.Parameter(torch.zeros(12, 8))
    with pytest.raises(TieBroken, match=r"Strategy: DDP"):
        verify(wrapped)


def test_no_strategy_is_named_in_one_process(tower, spec):
    tie(tower, spec)
    tower.head.weight = nn.Parameter(torch.zeros(12, 8))
    with pytest.raises(TieBroken) as error:
        verify(tower)
    assert "Strategy" not in str(error.value) and name_strategy(tower) == ""


def test_fsdp2_and_tensor_parallel_are_named(tower, spec, one_process):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

    tie(tower, spec)
    mesh = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    parallelize_module(tower.layers[0]["up"], mesh["tensor_parallel"], ColwiseParallel())
    with pytest.raises(TieBroken, match=r"parallelize_module distributed one of .*\n(.*\n)*Strategy: tensor parallel"):
        verify(tower)
    fully_shard(tower, mesh=mesh["data_parallel"])
    assert name_strategy(tower) == "FSDP2 and tensor parallel"
    with pytest.raises(TieBroken, match=r"Strategy: FSDP2 and tensor parallel"):
        verify(tower)


def test_fsdp2_alone(tower, spec, one_process):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    tie(tower, spec)
    fully_shard(tower.head, mesh=init_device_mesh("cpu", (1,)))
    with pytest.raises(TieBroken, match=r"(?s)fully_shard took one of embed.weight and head.weight.*Strategy: FSDP2\."):
        verify(tower)
