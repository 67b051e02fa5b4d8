"""What a sharing graph is made of, as frozen data: tensors' metadata, sites, uses, groups. No tensors, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

from lightning_tying.errors import Location, Problem
from lightning_tying.spec.schema import Grad, Init

BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """All that is asked about a tensor without touching it.

    Args:
        shape: its dimensions in torch's layout.
        dtype: torch's name without `torch.`: `float32`.
        device: `cpu`, `cuda:0`, `meta`.
        trainable: `requires_grad`.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    device: str = "cpu"
    trainable: bool = True

    @property
    def numel(self) -> int:
        """How many cells it has."""
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of one cell."""
        return BYTES.get(self.dtype, 1)


@dataclass(frozen=True, slots=True)
class Site:
    """A place where a tensor is read: one floating-point parameter under one of its FQNs.

    Args:
        fqn: relative to the module given to `tie`, torch's wrapper segments removed.
        meta: shape, dtype, device and whether it trains.
        module: the class name of the module that has it, `Linear`.
        parameter: a number per `nn.Parameter`: sites with the same number are one parameter already.
        sparse: whether its module makes sparse gradients (`nn.Embedding(sparse=True)`).
    """

    fqn: str
    meta: TensorMeta
    module: str
    parameter: int
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class ParameterName:
    """A shared parameter: a family and an index, shown as `block[q_proj, 2]`, `W`."""

    family: str
    index: tuple[int | str, ...] = ()

    def __str__(self) -> str:
        if not self.index:
            return self.family
        return f"{self.family}[{', '.join(str(place) for place in self.index)}]"


@dataclass(frozen=True, slots=True)
class Written:
    """The words of the entry that a use comes from, for advice in messages.

    Args:
        text: its right side, `W[l]`, or a tie's name; empty for a tie without one.
        wider: the same with the captures that it leaves out, `W[l, m]`; empty where it leaves none out.
    """

    text: str = ""
    wider: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """An edge: this site reads the shared parameter of its group.

    The algebra will add what the site reads instead of the bare parameter; until then every use is an alias.
    """

    site: str
    grad: Grad = field(default=Grad())
    location: Location = field(default=Location(), compare=False)
    written: Written = field(default=Written(), compare=False)


@dataclass(frozen=True)
class ParameterPolicy:
    """What the spec says of one shared parameter, resolved; `init` as it is to be carried out.

    Args:
        init: the rule for the initial value.
        init_sites: the sites that `init` solves from, in model order; empty when the value is drawn.
        lr: factor of the optimizer's learning rate.
        weight_decay: factor of the optimizer's weight decay.
        frozen: what the spec declares; None where its sites decide.
        dtype: what the spec declares; None where its sites decide.
    """

    init: Init = field(default=Init("first"))
    init_sites: tuple[str, ...] = ()
    lr: float = 1.0
    weight_decay: float = 1.0
    frozen: bool | None = None
    dtype: str | None = None


@dataclass(frozen=True)
class SharingGroup:
    """A shared parameter with its uses, in model order; the first use is the owner's.

    `meta` is the shared parameter's: shape and device of its owner, dtype and trainability with the policy.
    """

    name: ParameterName
    uses: tuple[Use, ...]
    meta: TensorMeta
    policy: ParameterPolicy = ParameterPolicy()

    @property
    def owner(self) -> str:
        """The FQN under which the parameter is saved."""
        return self.uses[0].site

    @property
    def sites(self) -> tuple[str, ...]:
        """The FQNs that read the parameter, in model order."""
        return tuple(use.site for use in self.uses)


class GraphView(Protocol):
    """What the pictures of a graph read of it."""

    @property
    def groups(self) -> tuple[SharingGroup, ...]: ...
    @property
    def private(self) -> tuple[tuple[str, TensorMeta], ...]: ...
    @property
    def warnings(self) -> tuple[Problem, ...]: ...
    @property
    def sites(self) -> tuple[Site, ...]: ...
