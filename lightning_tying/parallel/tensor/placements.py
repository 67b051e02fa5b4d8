"""A tied network whose parameters have been distributed in; its ties restored, or a refusal that names both places."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# torch's distributed tensors are typed in part only.

from __future__ import annotations

from torch import nn
from torch.distributed.tensor import DTensor

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.plan import Alias
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.retie import retie
from lightning_tying.lowering.state import require_state


def restore_ties(root: nn.Module) -> list[Alias]:
    """Tie a network again after a `parallelize_module` of the user's, which gives every site a parameter of its own.

    Args:
        root: the tied network.

    Returns:
        The links that did not hold.

    Raises:
        ApplyError: members of a group were distributed in different ways; nothing has changed.
        TieBroken: a parameter is missing.
    """
    check_placements(root)
    return retie(root)


def check_placements(root: nn.Module) -> None:
    """Compare shape, dtype, mesh and placements of all places of each sharing group.

    Raises:
        ApplyError: with every place that differs from its group's keeper.
    """
    graph = require_state(root).plan.graph
    problems: list[str] = []
    for group in graph.groups:
        slots = find_slots(root, group.places)
        keeper = slots[group.keeper].read()
        for place in group.places[1:]:
            one, other = _describe(keeper), _describe(slots[place].read())
            if one != other:
                problems.append(f"`{group.name}`: {group.keeper} is {one} and {place} {other}")
    if problems:
        raise ApplyError(
            "\n".join(
                [
                    "These places share one parameter and were distributed in different ways:",
                    *problems,
                    "Choose styles that divide both alike: an embedding RowwiseParallel and a head ColwiseParallel are "
                    "both Shard(0).",
                ]
            )
        )


def _describe(parameter: nn.Parameter) -> str:
    text = f"{list(parameter.shape)} {str(parameter.dtype).removeprefix('torch.')}"
    if not isinstance(parameter, DTensor):
        return f"{text}, an ordinary tensor"
    mesh = parameter.device_mesh
    placements = ", ".join(str(placement) for placement in parameter.placements)
    return f"{text}, {placements} on a mesh of {list(mesh.shape)} ({', '.join(mesh.mesh_dim_names or ())})"
