"""What a sharing graph is made of, as frozen data: tensors' metadata, sites, uses, groups. No tensors, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple, Protocol

from lightning_tying.algebra.expression import Expression, ParameterName, slot_place
from lightning_tying.errors import Location, Problem
from lightning_tying.spec.schema import Init

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


class Site(NamedTuple):
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
class Written:
    """The words of the entry that a use comes from, for advice in messages.

    Args:
        text: its right side, `W[l]`, or a tie's name; empty for a tie without one.
        wider: the same with the captures that it leaves out, `W[l, m]`; empty where it leaves none out.
    """

    text: str = ""
    wider: str = ""


@dataclass(frozen=True, slots=True)
class GradientRule:
    """What one use adds to the gradient of its shared parameter, resolved at its site.

    Args:
        kind: as written; `mean` and `owner` depend on the other uses, see `SharingGroup.gradient_factor`.
        scale: the factor of `scale`.
    """

    kind: Literal["sum", "mean", "owner", "stop", "scale"] = "sum"
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Use:
    """An edge: this site reads the shared parameter of its group.

    Args:
        site: its FQN.
        grad: what it adds to the gradient.
        slot: the name under which the site's parametrization holds the parameter; empty for an alias.
        bare: whether the site reads the parameter as it is (an alias does; a use with another `grad` may too).
    """

    site: str
    grad: GradientRule = field(default=GradientRule())
    slot: str = ""
    bare: bool = True
    location: Location = field(default=Location(), compare=False)
    written: Written = field(default=Written(), compare=False)

    @property
    def place(self) -> str:
        """The FQN under which torch registers the parameter here: the site, or a slot of its parametrization."""
        return slot_place(self.site, self.slot) if self.slot else self.site


@dataclass(frozen=True)
class DerivedSite:
    """A site that reads more than a bare parameter: it is lowered to a parametrization.

    Args:
        site: its FQN.
        expression: what it reads, with whole shapes; the slots are those of `name_slots(expression)`.
        meta: the site's own metadata before it was tied; the value has its shape and dtype.
        keep: whether the value is kept for the backward pass instead of being computed again.
    """

    site: str
    expression: Expression
    meta: TensorMeta
    keep: bool = False
    location: Location = field(default=Location(), compare=False)


@dataclass(frozen=True)
class Penalty:
    """`weight` · Σ (site − value)² is added to the loss; nothing is bound by it.

    Args:
        site: the FQN whose tensor is compared.
        expression: what it is compared with.
        weight: λ, 0 or more.
    """

    site: str
    expression: Expression
    weight: float
    location: Location = field(default=Location(), compare=False)


@dataclass(frozen=True)
class ParameterPolicy:
    """What the spec says of one shared parameter, resolved; `init` as it is to be carried out.

    Args:
        init: the rule for the initial value.
        init_sites: the sites that `init` solves from, in model order; empty when the value is drawn. A derived site
            among them is solved by undoing its expression.
        lr: factor of the optimizer's learning rate.
        weight_decay: factor of the optimizer's weight decay.
        frozen: what the spec declares; None where its sites decide.
        dtype: what the spec declares; None where its sites decide.
        slices: whether the value is drawn slice by slice along the first dimension.
    """

    init: Init = field(default=Init("first"))
    init_sites: tuple[str, ...] = ()
    lr: float = 1.0
    weight_decay: float = 1.0
    frozen: bool | None = None
    dtype: str | None = None
    slices: bool = False


@dataclass(frozen=True)
class SharingGroup:
    """A shared parameter with its uses: the owner's first, then the others in model order.

    The owner is the first site in model order that reads the parameter as it is; where there is none, the first that
    reads it at all. `meta` is the shared parameter's own: its shape, the device of its owner, dtype and trainability
    with the policy.
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
        """The FQNs that read the parameter: the owner's, then the others in model order."""
        return tuple(use.site for use in self.uses)

    @property
    def places(self) -> tuple[str, ...]:
        """The FQNs under which torch registers the parameter, sites and slots; the first is the keeper's."""
        return tuple(use.place for use in self.uses)

    @property
    def keeper(self) -> str:
        """The place whose `nn.Parameter` all others hold: the owner's site, or the owner's slot."""
        return self.uses[0].place

    @cached_property
    def is_plain(self) -> bool:
        """Whether every use is an alias."""
        return not any(use.slot for use in self.uses)

    def gradient_factor(self, use: Use) -> float:
        """The number by which the gradient that `use` adds is multiplied."""
        match use.grad.kind:
            case "mean":
                return 1 / len(self.uses)
            case "owner":
                return 1.0 if use.site == self.owner else 0.0
            case "stop":
                return 0.0
            case _:
                return use.grad.scale


class GraphView(Protocol):
    """What the pictures of a graph read of it."""

    @property
    def groups(self) -> tuple[SharingGroup, ...]: ...
    @property
    def private(self) -> tuple[tuple[str, TensorMeta], ...]: ...
    @property
    def derived(self) -> tuple[DerivedSite, ...]: ...
    @property
    def penalties(self) -> tuple[Penalty, ...]: ...
    @property
    def warnings(self) -> tuple[Problem, ...]: ...
    @property
    def sites(self) -> tuple[Site, ...]: ...
