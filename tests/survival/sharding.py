"""Rows of the survival table: `fully_shard` and `parallelize_module`, with a mesh of one process."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module

from lightning_tying.api import get_plan, tie
from tests.survival.cases import SPECS, Kind, Net, make, make_untied
from tests.survival.operation import HOLDS, RESTORED, Operation, detected, every, refused


def mesh() -> object:
    return init_device_mesh("cpu", (1,))


def whole(net: Net, _kind: Kind) -> None:
    fully_shard(net, mesh=mesh())  # type: ignore[call-overload]


def in_one_unit(net: Net, _kind: Kind) -> None:
    fully_shard([net.one, net.two], mesh=mesh())  # type: ignore[call-overload]
    fully_shard(net, mesh=mesh())  # type: ignore[call-overload]


def one_side(net: Net, _kind: Kind) -> None:
    fully_shard(net.two, mesh=mesh())  # type: ignore[call-overload]


def tied_late(_net: Net, kind: Kind) -> None:
    net = make_untied()
    fully_shard(net, mesh=mesh())  # type: ignore[call-overload]
    tie(net, SPECS[kind])


def from_meta(_net: Net, kind: Kind) -> nn.Module:
    with torch.device("meta"):
        net = Net()
    tie(net, SPECS[kind])
    fully_shard([net.one, net.two], mesh=mesh())  # type: ignore[call-overload]
    fully_shard(net, mesh=mesh())  # type: ignore[call-overload]
    net.to_empty(device="cpu")
    source = make(kind).state_dict()
    with torch.no_grad():
        for name, value in net.state_dict().items():
            value.to_local().copy_(source[name])  # type: ignore[attr-defined]
    return net


def parallelized(net: Net, _kind: Kind) -> None:
    parallelize_module(net, mesh(), {"one": _style(), "two": _style()})  # type: ignore[arg-type]


def parallelized_and_tied(net: Net, kind: Kind) -> None:
    parallelized(net, kind)
    tie(net, get_plan(net))


def _style() -> ColwiseParallel:
    return ColwiseParallel(use_local_output=True)


BY_TORCH = (
    "torch's styles need a parameter in the layer; derived sites are distributed by their shared parameters instead."
)
TENSOR_PARALLEL = (detected("parallelize_module"), refused("parameter name"), refused("parameter name"))
OPERATIONS = (
    Operation("`fully_shard(module)`", whole, every(HOLDS)),
    Operation("`fully_shard([one, two])` of all members, then the module", in_one_unit, every(HOLDS)),
    Operation("meta, tied, `fully_shard`, `to_empty`", from_meta, every(HOLDS), control=False),
    Operation("`fully_shard` of one member's module", one_side, every(detected("fully_shard took one"))),
    Operation("`tie` after `fully_shard`", tied_late, every(refused("before fully_shard"))),
    Operation("`parallelize_module` of all members", parallelized, TENSOR_PARALLEL, kept=False, note=BY_TORCH),
    Operation(
        "`parallelize_module`, then `tie(module, get_plan(module))`",
        parallelized_and_tied,
        (RESTORED, *TENSOR_PARALLEL[1:]),
        control=False,
        kept=False,
        note=BY_TORCH,
    ),
)
