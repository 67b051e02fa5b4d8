"""A tied LightningModule in a run of several processes goes in; its network comes out as the strategy needs it."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from lightning_tying.api import discover
from lightning_tying.errors import ConfigError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.state import read_state
from lightning_tying.parallel.sharding.fill_meta import fill_meta
from lightning_tying.parallel.sharding.shard import is_fully_sharded, shard_network
from lightning_tying.parallel.sharding.units import plan_units
from lightning_tying.parallel.sharding.written_units import WrittenUnits, read_units
from lightning_tying.parallel.tensor.styles import ATTRIBUTE
from lightning_tying.tasks.watch.run_facts import find_kind

if TYPE_CHECKING:
    from lightning_tying.tasks.watch.watched_module import WatchedModule

STEPS = ("training_step", "validation_step", "test_step", "predict_step")


def parallelize(module: WatchedModule) -> None:
    """Shard or distribute the tied network where the strategy leaves that to `configure_model`; once only.

    Under `ModelParallelStrategy` tensor parallel comes first, then the units of FSDP2. A network that was built on the
    meta device gets its values, the same for any number of processes, wherever it is going to be used; it stays on
    meta while a plan is made there.

    Args:
        module: tied, with a trainer or (in `load_from_checkpoint`) without one.

    Raises:
        ApplyError: the network does not fit the strategy.
    """
    strategy: Any = getattr(getattr(module, "_trainer", None), "strategy", None)
    if strategy is not None and find_kind(strategy) == "fsdp2":
        _shard(module, strategy.device_mesh)
    if not torch.empty(0).is_meta:
        fill_meta(module, "cpu" if strategy is None else strategy.root_device)


def _shard(module: WatchedModule, mesh: Any) -> None:
    network = module.tied_network
    if is_fully_sharded(module):
        return
    if mesh["tensor_parallel"].size() > 1:
        _distribute(network, mesh["tensor_parallel"], cast(Any, getattr(module, ATTRIBUTE, None)))
    if mesh["data_parallel"].size() == 1 and mesh["tensor_parallel"].size() > 1:
        return
    root = find_root(module, network)
    override = module.tied_units
    shard_network(root, plan_units(find_graph(root), root, override), mesh["data_parallel"])
    if root is module:
        gather_in_steps(module)


def _distribute(network: nn.Module, mesh: Any, styles: Mapping[str, str] | None) -> None:
    """Divide the network over the processes that compute one batch together, where it is not yet."""
    from lightning_tying.parallel.tensor.plan import apply_tensor_parallel, plan_tensor_parallel

    if any(is_sharded(parameter) for parameter in network.parameters()):
        return
    fill_meta(network, mesh.device_type)
    plan = plan_tensor_parallel(find_graph(network), network, styles, size=mesh.size())
    apply_tensor_parallel(network, plan, mesh)


def set_units(module: nn.Module, units: WrittenUnits) -> None:
    """Let FSDP2 gather by written units instead of those of the plan.

    Args:
        module: a `TiedModule`, or what `tie_any` has tied.
        units: lists of FQNs or patterns, or a YAML file of them.

    Raises:
        ConfigError: the file is missing or holds something else, or nothing shards this module.
    """
    if not hasattr(module, "tied_units"):
        raise ConfigError(f"Units need a tied module: give {type(module).__name__} a sharing spec with --sharing.")
    setattr(module, "tied_units", read_units(units))  # noqa: B010  # only WatchedModule has it, which imports this file


def find_graph(root: nn.Module) -> SharingGraph:
    """The graph that a module is tied by; what it shares anyway where it is no tied root."""
    state = read_state(root)
    return discover(root) if state is None else state.plan.graph


def gather_in_steps(module: nn.Module) -> None:
    """Let the steps of a sharded LightningModule gather what its own unit has: Lightning calls them, not `forward`."""
    from torch.distributed.fsdp import register_fsdp_forward_method

    for step in STEPS:
        if callable(getattr(module, step, None)):
            register_fsdp_forward_method(module, step)


def find_root(module: nn.Module, network: nn.Module) -> nn.Module:
    """What is sharded as a whole: the network, or the LightningModule.

    The latter if it has parameters besides, or if the network says with `forward_methods` that it is not only called:
    then each step of the LightningModule gathers what all of them need.

    Args:
        module: the LightningModule.
        network: the tied network in it.
    """
    inside = {id(parameter) for parameter in network.parameters()}
    outside = any(id(parameter) not in inside for parameter in module.parameters())
    return module if outside or getattr(network, "forward_methods", ()) else network
