"""A sharing graph, a network and styles in; a plan for tensor parallel out, and the network distributed by it.

Every shared parameter is distributed once, as its uses ask for; all its places then hold that one parameter. So a tie
cannot be lost on the way, as it is when each layer distributes the parameters that it finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import DerivedSite, SharingGraph
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.resolve import find_slots, own_parameters, walk_modules
from lightning_tying.parallel.tensor.groups import choose_cuts
from lightning_tying.parallel.tensor.styles import Style, StyledModule, find_styles
from lightning_tying.parallel.tensor.values import Cut, is_random

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


@dataclass(frozen=True)
class DerivedCut:
    """How a derived site is computed.

    Args:
        site: its FQN.
        cut: of its value.
        parts: whether each process computes its part from parts; otherwise it computes the whole value and takes
            its part of it.
        reason: why not from parts.
    """

    site: str
    cut: Cut
    parts: bool
    reason: str = ""

    def __str__(self) -> str:
        how = "from parts" if self.parts else f"whole, then cut ({self.reason})"
        return f"{self.site}: {show_cut(self.cut)}, computed {how}"


@dataclass(frozen=True)
class TensorParallelPlan:
    """What `apply_tensor_parallel` does, as data.

    Args:
        size: of the tensor-parallel group.
        styles: of every module with parameters, by path.
        cuts: of every parameter, by the place that keeps it; None for one that every process holds whole.
        derived: how derived sites are computed.
    """

    size: int
    styles: tuple[tuple[str, Style], ...]
    cuts: tuple[tuple[str, Cut], ...]
    derived: tuple[DerivedCut, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-able data."""
        return {
            "size": self.size,
            "styles": dict(self.styles),
            "parameters": {place: "replicate" if cut is None else f"shard({cut})" for place, cut in self.cuts},
            "derived": {each.site: str(each).partition(": ")[2] for each in self.derived},
        }

    def __str__(self) -> str:
        divided = sum(cut is not None for _, cut in self.cuts)
        lines = [f"tensor parallel over {self.size}: {divided} of {len(self.cuts)} parameters are divided"]
        lines += [f"  {path}: {style}" for path, style in self.styles if style not in ("replicate", "plain")]
        lines += [f"  {each}" for each in self.derived]
        return "\n".join(lines)


def plan_tensor_parallel(
    graph: SharingGraph, module: nn.Module, styles: Mapping[str, str] | None = None, *, size: int
) -> TensorParallelPlan:
    """Decide how each parameter is divided; nothing is changed.

    Args:
        graph: of the tied network's plan.
        module: the tied network; its own attribute `tensor_parallel_styles` is read where `styles` is None.
        styles: module patterns to `colwise`, `rowwise`, `colwise_gather` or `replicate`.
        size: of the tensor-parallel group.

    Raises:
        ConfigError: there is no plan for this network, or `styles` is wrong.
        ApplyError: a sharing group would be divided in two ways, sizes do not divide, or a derived site is random.
    """
    styled = find_styles(module, styles, size)
    by_place = {(id(each.module), name): (each, name) for each in styled for name in each.tensors}
    for derived in graph.derived:
        _refuse_random(derived)
    sites = {derived.site: _find(derived.site, module, by_place) for derived in graph.derived}
    aliases = {use.site: _find(use.site, module, by_place) for _, use in graph.uses() if not use.slot}
    demands = {site: each.cut(name) for site, (each, name) in {**sites, **aliases}.items()}
    plain = {site for site, (each, _) in {**sites, **aliases}.items() if each.style == "plain"}
    chosen, values = choose_cuts(graph, demands, plain, size)
    cuts = {group.keeper: chosen[group.name] for group in graph.groups}
    bound = {id(find_slots(module, [place])[place].read()) for place in cuts}
    for each in styled:
        for name in each.tensors:
            parameter = own_parameters(each.module).get(name)
            if parameter is not None and id(parameter) not in bound:
                bound.add(id(parameter))
                cuts[f"{each.path}.{name}" if each.path else name] = each.cut(name)
    return TensorParallelPlan(
        size,
        tuple((each.path, each.style) for each in styled),
        tuple(cuts.items()),
        tuple(DerivedCut(site, demands[site], not reason, reason) for site, reason in values.items()),
    )


def apply_tensor_parallel(root: nn.Module, plan: TensorParallelPlan, mesh: DeviceMesh) -> None:
    """Distribute the network over a mesh of one dimension, before `fully_shard` and before the optimizer is made.

    Parameters that are not divided are those of the group's first process afterwards, and so is its random state.

    Args:
        root: the tied network, with values.
        plan: made for it.
        mesh: `mesh["tensor_parallel"]`.

    Raises:
        ApplyError: the network is distributed already or on the meta device, or the mesh has another size.
    """
    if mesh.ndim != 1 or mesh.size() != plan.size:
        raise ApplyError(f"The plan is for {plan.size} processes, and the mesh is {list(mesh.shape)}. Plan again.")
    for path, module in walk_modules(root):
        for name, parameter in own_parameters(module).items():
            where = f"{path}.{name}" if path else name
            if is_sharded(parameter):
                raise ApplyError(f"{where} is distributed already. Tensor parallel comes first, and once.")
            if parameter is not None and parameter.is_meta:
                raise ApplyError(
                    f"{where} is on the meta device. Tensor parallel cuts values that are there: build the network "
                    "for real (every process draws the same values), or call to_empty and initialize it first."
                )
    from lightning_tying.parallel.tensor.apply import distribute  # imports torch.distributed.tensor

    distribute(root, plan.styles, plan.cuts, {each.site: (each.cut, each.parts) for each in plan.derived}, mesh)


def show_cut(cut: Cut) -> str:
    """In words."""
    return "whole on every process" if cut is None else f"divided along dimension {cut}"


def _find(
    site: str, root: nn.Module, by_place: Mapping[tuple[int, str], tuple[StyledModule, str]]
) -> tuple[StyledModule, str]:
    slot = find_slots(root, [site])[site]
    found = by_place.get(slot.place)
    if found is None:
        raise ApplyError(f"{site} is no parameter of a module any more. Call verify(module) to see why.")
    return found


def _refuse_random(derived: DerivedSite) -> None:
    if is_random(derived.expression):
        raise ApplyError(
            f"{derived.site} is computed with dropout, and the processes of a tensor-parallel group would draw "
            "different values. Leave out `drop`, or run without tensor parallel."
        )
