"""A tied network, cuts and a mesh in; every parameter distributed once, layers that take and give plain tensors."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# torch's distributed tensors are typed in part only.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import ParallelStyle, parallelize_module
from torch.utils import _pytree as pytree

from lightning_tying.lowering.derive import find_values
from lightning_tying.lowering.resolve import find_slots, own_parameters, walk_modules
from lightning_tying.lowering.retie import retie
from lightning_tying.lowering.state import read_state
from lightning_tying.parallel.tensor.placements import check_placements
from lightning_tying.parallel.tensor.site import distribute_value
from lightning_tying.parallel.tensor.styles import Style
from lightning_tying.parallel.tensor.values import Cut


def distribute(
    root: nn.Module,
    styles: Iterable[tuple[str, Style]],
    cuts: Iterable[tuple[str, Cut]],
    derived: Mapping[str, tuple[Cut, bool]],
    mesh: DeviceMesh,
) -> None:
    """Carry out a plan; the arguments are those of `TensorParallelPlan`."""
    listed = list(styles)
    written = {path: SiteStyle(style) for path, style in listed if path and style != "plain"}
    plain = {path for path, style in listed if style == "plain"}
    for place, cut in cuts:
        if _module_path(place) not in plain:
            _distribute_parameter(root, place, cut, mesh)
    state = read_state(root)
    if state is not None:
        retie(root)
        for each, _, value in find_values(state.plan.graph, root):
            if value is not None and _module_path(each.site) not in plain:
                distribute_value(value, *derived[each.site], mesh)
        check_placements(root)
    parallelize_module(root, mesh, cast("dict[str, ParallelStyle]", written))
    _make_equal(root, mesh)


class SiteStyle(ParallelStyle):
    """The layouts of a layer whose parameters are distributed already: plain tensors in, plain tensors out.

    Args:
        style: of the layer.
    """

    def __init__(self, style: Style) -> None:
        self.style: Style = style

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        taken, given = _layouts(module, self.style)
        module.register_forward_pre_hook(partial(_take, device_mesh, taken), with_kwargs=True)
        module.register_forward_hook(partial(_give, device_mesh, given))
        return module


def _layouts(module: nn.Module, style: Style) -> tuple[Placement, Placement]:
    """Of what goes in, and of what comes out."""
    if style == "colwise":
        return Replicate(), Shard(-1)
    if style == "rowwise" and not isinstance(module, nn.Embedding):
        return Shard(-1), Replicate()
    return Replicate(), Replicate()


def _take(
    mesh: DeviceMesh, placement: Placement, module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    del module

    def wrap(value: Any) -> Any:
        if isinstance(value, Tensor) and not isinstance(value, DTensor):
            return DTensor.from_local(value, mesh, [placement], run_check=False)
        return value

    return cast("tuple[tuple[Any, ...], dict[str, Any]]", pytree.tree_map(wrap, (arguments, keywords)))


def _give(mesh: DeviceMesh, placement: Placement, module: nn.Module, arguments: object, result: Any) -> Any:
    del module, arguments

    def unwrap(value: Any) -> Any:
        if isinstance(value, DTensor):
            if value.placements != (placement,):
                value = value.redistribute(mesh, [placement])
            return value.to_local()
        return value

    return pytree.tree_map(unwrap, result)


def _distribute_parameter(root: nn.Module, place: str, cut: Cut, mesh: DeviceMesh) -> None:
    """Let all places of one parameter hold the same distributed one; it is the first process's."""
    slot = find_slots(root, [place])[place]
    before = slot.read()
    placement = Replicate() if cut is None else Shard(cut)
    made = nn.Parameter(distribute_tensor(before.detach(), mesh, [placement]), requires_grad=before.requires_grad)
    for _, module in walk_modules(root):
        for name, parameter in list(own_parameters(module).items()):
            if parameter is before:
                setattr(module, name, made)


def _make_equal(root: nn.Module, mesh: DeviceMesh) -> None:
    """Give ordinary parameters, buffers and the random state of the first process to the others.

    What is computed whole on every process, dropout included, must not differ between them.
    """
    group: Any = mesh.get_group()
    with torch.no_grad():
        for tensor in (*root.parameters(), *root.buffers()):
            if not isinstance(tensor, DTensor):
                distributed.broadcast(tensor.data, group=group, group_src=0)
    state = torch.get_rng_state().to(mesh.device_type)
    distributed.broadcast(state, group=group, group_src=0)
    torch.set_rng_state(state.cpu())
    if mesh.device_type == "cuda":
        state = torch.cuda.get_rng_state().to("cuda")
        distributed.broadcast(state, group=group, group_src=0)
        torch.cuda.set_rng_state(state.cpu())


def _module_path(place: str) -> str:
    """Of a site `layers.0.fc.weight` or a slot `layers.0.fc.parametrizations.weight.0.T`: `layers.0.fc`."""
    segments = place.split(".")
    if len(segments) > 3 and segments[-4] == "parametrizations":
        return ".".join(segments[:-4])
    return ".".join(segments[:-1])
