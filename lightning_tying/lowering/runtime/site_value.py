"""An expression and the shared parameters that it reads in, the module that computes the value of one site out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from lightning_tying.algebra.expand import expand
from lightning_tying.algebra.expression import Expression, SlotName
from lightning_tying.algebra.primitives.gradients import scale_gradient
from lightning_tying.algebra.primitives.node import Inputs, Node
from lightning_tying.lowering.resolve import own_parameters
from lightning_tying.lowering.runtime.autograd_state import autocasts
from lightning_tying.lowering.runtime.fresh_module import initialize
from lightning_tying.lowering.runtime.output_terms import SplitValue, split_value

_RECORD = "_lightning_tying_value"  # two attributes for all: any other name may be the name of a slot
_PROGRAMS = "_lightning_tying_programs"


class _Record(NamedTuple):
    """What one site computes; the copies of a module share it."""

    expression: Expression
    slots: tuple[SlotName, ...]
    names: tuple[str, ...]
    factors: tuple[float, ...]
    plain: bool
    dtype: torch.dtype
    keep: bool

    def __deepcopy__(self, memo: object) -> _Record:
        del memo
        return self


@dataclass(slots=True)
class _Programs:
    """What is made from a record again in every process.

    Args:
        whole: computes the value.
        is_random: whether two evaluations differ.
        split: the value as base and `low_rank` terms.
        base: computes the base; None where there is none.
        keeps_steps: whether the graph of the value, or of its base (True), saves much of its own; found when asked.
    """

    whole: Node
    is_random: bool
    split: SplitValue | None
    base: Node | None
    keeps_steps: dict[bool, bool] = field(default_factory=dict[bool, bool])


class SiteValue(nn.Module):
    """Computes the value of a site from the `nn.Parameter`s in its slots; a parametrization of torch.

    Args:
        expression: with whole shapes.
        factors: by which the gradient of each slot is multiplied, in the order of `expression.parameters`.
        parameters: what the slots hold, in the same order.
        dtype: of the value.
        keep: whether the value is kept for the backward pass instead of being computed again.
    """

    def __init__(
        self,
        expression: Expression,
        factors: Sequence[float],
        parameters: Sequence[nn.Parameter],
        dtype: torch.dtype,
        keep: bool = False,
    ) -> None:
        initialize(self)
        slots = expression.slots
        names = tuple([slot.name for slot in slots])
        record = _Record(expression, slots, names, tuple(factors), _is_plain(factors), dtype, keep)
        # Neither slots nor this are set by attribute: a slot may be called as an attribute of nn.Module is.
        own_parameters(self).update(zip(names, parameters, strict=True))
        self.__dict__[_RECORD] = record
        self.__dict__[_PROGRAMS] = None
        self.prepare()

    @property
    def expression(self) -> Expression:
        """What the site reads."""
        return self._record.expression

    @expression.setter
    def expression(self, expression: Expression) -> None:
        self.__dict__[_RECORD] = self._record._replace(expression=expression)
        self.__dict__[_PROGRAMS] = None

    @property
    def slots(self) -> tuple[SlotName, ...]:
        """Where the shared parameters are held, in order."""
        return self._record.slots

    @property
    def factors(self) -> tuple[float, ...]:
        """By which the gradient of each slot is multiplied."""
        return self._record.factors

    @factors.setter
    def factors(self, factors: Sequence[float]) -> None:
        self.__dict__[_RECORD] = self._record._replace(factors=tuple(factors), plain=_is_plain(factors))

    @property
    def dtype(self) -> torch.dtype:
        """Of the value."""
        return self._record.dtype

    @property
    def keep(self) -> bool:
        """Whether the value is kept for the backward pass, as was asked for or since dropout draws it."""
        return self._record.keep or self._programs.is_random

    @property
    def split(self) -> SplitValue | None:
        """The value as base and `low_rank` terms, where it is a matrix and has such terms."""
        return self._programs.split

    @property
    def keeps_steps(self) -> dict[bool, bool]:
        """What has been found out of the graphs of the value (False) and its base (True)."""
        return self._programs.keeps_steps

    @property
    def expression_bytes(self) -> int:
        """How large the value is."""
        return math.prod(self._record.expression.shape) * self._record.dtype.itemsize

    def become(self, other: SiteValue) -> None:
        """Compute from now on what another one does, with its slots and parameters."""
        held = own_parameters(self)
        held.clear()
        held.update(own_parameters(other))
        self.__dict__.update({name: other.__dict__[name] for name in (_RECORD, _PROGRAMS)})

    def parameters_read(self) -> list[nn.Parameter]:
        """What the slots hold now, in their order."""
        held = own_parameters(self)
        # Under pruning or functional_call a slot may be a tensor that is no registered parameter.
        return [cast(nn.Parameter, held[name] if name in held else getattr(self, name)) for name in self._record.names]

    def tensors(self) -> Sequence[Tensor]:
        """What the slots hold now, with the factors of their gradients."""
        return self._scale(self.parameters_read())

    def forward(self, base: bool = False) -> Tensor:
        """The value, in the site's dtype, computed without autocast.

        Args:
            base: leave out the `low_rank` terms of `split`.
        """
        return self.compute_with(self.parameters_read(), base)

    def compute_with(self, parameters: Sequence[Tensor], base: bool) -> Tensor:
        """The value for other tensors in the slots; as `forward` otherwise."""
        device = parameters[0].device.type
        scaled = self._scale(parameters)
        if autocasts(device):
            with torch.autocast(device, enabled=False):
                return self._compute(scaled, base)
        return self._compute(scaled, base)

    def prepare(self) -> None:
        """Make programs, and fixed maps for the device that the slots are on, so that a trace finds them there.

        Nothing on meta: most modules there are only planned, and a value that is wanted makes its programs itself.
        """
        first = self.parameters_read()[0]
        if first.device.type != "meta":
            self._programs.whole.prepare(first.device, first.dtype)
            if self._programs.base is not None:
                self._programs.base.prepare(first.device, first.dtype)

    def _scale(self, parameters: Sequence[Tensor]) -> Sequence[Tensor]:
        if self._record.plain:
            return parameters
        factors = self._record.factors
        return [scale_gradient(each, factor) for each, factor in zip(parameters, factors, strict=True)]

    def _compute(self, slots: Sequence[Tensor], base: bool) -> Tensor:
        programs = self._programs
        program = programs.base if base and programs.base is not None else programs.whole
        value = program.forward(Inputs(slots, self.training))
        return value if value.dtype == self._record.dtype else value.to(self._record.dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> SiteValue:
        # A cell of the site's dtype shows what this conversion makes of it; slots may have another dtype.
        probe = cast(Tensor, fn(torch.empty(0, dtype=self._record.dtype)))
        base: Any = super()  # torch's stubs leave these methods open
        base._apply(fn, recurse)
        if probe.dtype != self._record.dtype:
            self.__dict__[_RECORD] = self._record._replace(dtype=probe.dtype)
        self.prepare()
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state.pop(_PROGRAMS, None)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        base: Any = super()
        base.__setstate__(dict(state))
        self.__dict__[_PROGRAMS] = None
        self.prepare()

    def extra_repr(self) -> str:
        return ", ".join(f"{slot.name}: {slot.parameter}" for slot in self.slots)

    @property
    def _record(self) -> _Record:
        return self.__dict__[_RECORD]

    @property
    def _programs(self) -> _Programs:
        if torch.compiler.is_compiling() or self.__dict__[_PROGRAMS] is None:
            self._have_programs()
        return self.__dict__[_PROGRAMS]

    def _have_programs(self) -> None:
        """Make them unless they are there; a trace runs this and does not look inside."""
        if self.__dict__[_PROGRAMS] is None:
            self.__dict__[_PROGRAMS] = _make_programs(self._record.expression, self._record.slots)

    # What torch.compiler.assume_constant_result does, without the second that its import takes.
    _have_programs._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]


def _is_plain(factors: Sequence[float]) -> bool:
    return factors.count(1) == len(factors)


def _make_programs(expression: Expression, slots: tuple[SlotName, ...]) -> _Programs:
    numbers = {slot.parameter: number for number, slot in enumerate(slots)}
    whole = expand(expression, numbers)
    split = split_value(expression)
    base = None if split is None or split.base is None else expand(split.base, numbers)
    return _Programs(whole, whole.is_random, split, base)
