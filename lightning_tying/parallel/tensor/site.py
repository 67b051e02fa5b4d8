"""What computes a derived site in; afterwards it reads distributed shared parameters and gives a distributed value.

The expression itself only ever sees ordinary tensors: parts of the shared parameters where each process computes its
part of the value, whole ones where the value is cut afterwards.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# torch's distributed tensors are typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard
from typing_extensions import override

from lightning_tying.lowering.runtime.site_value import SiteValue
from lightning_tying.parallel.tensor.values import Cut, cut_value

_LAYOUT = "_lightning_tying_layout"  # an ordinary attribute could be the name of a slot


@dataclass(frozen=True)
class _Layout:
    """How a value is put together.

    Args:
        mesh: of the group of processes.
        placement: of the value.
        parts: whether it is computed from parts.
    """

    mesh: DeviceMesh
    placement: Placement
    parts: bool


class DistributedSiteValue(SiteValue):
    """A `SiteValue` whose slots hold distributed parameters; made by `distribute_value` only."""

    @override
    def compute_with(self, parameters: Sequence[Tensor], base: bool = False) -> Tensor:
        """The value, distributed; for parameters that are not distributed, an ordinary tensor."""
        layout = self._layout
        if not any(isinstance(parameter, DTensor) for parameter in parameters):
            return super().compute_with(parameters, base)
        plain = [_unwrap(parameter, layout) for parameter in parameters]
        return _wrap(super().compute_with(plain, base), layout)

    @property
    @override
    def split(self) -> None:
        """None: the terms of `low_rank` are added to the weight, not to the layer's output."""
        return None

    @property
    @override
    def keep(self) -> bool:
        """True: a distributed value has no memory of its own by which a saved tensor could be recognized."""
        return True

    @property
    def _layout(self) -> _Layout:
        return cast(_Layout, self.__dict__[_LAYOUT])


def distribute_value(value: SiteValue, cut: Cut, parts: bool, mesh: DeviceMesh) -> None:
    """Let a site's value be distributed, once its slots are.

    Args:
        value: what computes it; becomes a `DistributedSiteValue`.
        cut: of the value.
        parts: whether each process computes its part from parts of the parameters.
        mesh: of one dimension.
    """
    placement = Replicate() if cut is None else Shard(cut)
    value.__dict__[_LAYOUT] = _Layout(mesh, placement, parts)
    object.__setattr__(value, "__class__", DistributedSiteValue)
    if parts:
        value.expression = cut_value(value.expression, cut, mesh.size()).expression
    value.prepare()


def _unwrap(parameter: Tensor, layout: _Layout) -> Tensor:
    """The local tensor that the expression reads."""
    if not isinstance(parameter, DTensor):
        return parameter
    if not layout.parts:
        return parameter.redistribute(layout.mesh, [Replicate()]).to_local()
    if layout.placement.is_shard() and parameter.placements == (Replicate(),):
        # Each process derives by its part of the value alone; what they find is added up on the way back.
        whole = parameter.redistribute(layout.mesh, [Replicate()])
        return whole.to_local(grad_placements=[Partial()])
    return parameter.to_local()


def _wrap(value: Tensor, layout: _Layout) -> Tensor:
    placed: Any = layout.placement
    if layout.parts:
        return DTensor.from_local(value, layout.mesh, [placed], run_check=False)
    return DTensor.from_local(value, layout.mesh, [Replicate()], run_check=False).redistribute(layout.mesh, [placed])
