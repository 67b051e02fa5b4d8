"""A module in; the values out that `tie` made for its tensors, other people's parametrizations left out."""

# pyright: reportPrivateUsage=false
# As in the inventory, the tables of `nn.Module` are read: attributes of a parametrized module compute values.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeGuard, cast

import torch
from torch import nn

from lightning_tying.algebra.expression import Expression, SlotName

_CLASS_RECORD = "_lightning_tying_class"  # an attribute of the class that lowering gives to a module


class SiteValue(Protocol):
    """What the parametrization of a derived site is, as far as it is looked at here."""

    @property
    def expression(self) -> Expression: ...
    @property
    def slots(self) -> tuple[SlotName, ...]: ...
    @property
    def factors(self) -> Sequence[float]: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def keep(self) -> bool: ...
    @property
    def _parameters(self) -> Mapping[str, nn.Parameter | None]: ...


def find_site_values(part: nn.Module) -> dict[str, SiteValue]:
    """The values of a module's own derived tensors by their names; mostly there are none."""
    parametrizations = part._modules.get("parametrizations")
    if parametrizations is None:
        return {}
    found = ((name, find_site_value(child)) for name, child in parametrizations._modules.items())
    return {name: value for name, value in found if value is not None}


def read_order(part: nn.Module) -> tuple[str, ...]:
    """The names of a module's parameters in the order that they had before any of them was computed."""
    record: object = getattr(type(part), _CLASS_RECORD, None)
    return cast("tuple[str, ...]", getattr(record, "order", ()))


def find_site_value(parametrization: nn.Module | None) -> SiteValue | None:
    """The value behind one entry of `parametrizations`; None for another kind, or where one has been put on top."""
    if parametrization is None or len(parametrization._modules) != 1 or parametrization._parameters:
        return None
    value = parametrization._modules.get("0")
    return value if _is_site_value(value) else None


def read_slots(value: SiteValue) -> list[nn.Parameter]:
    """What the slots hold, in their order; not by attribute, since a slot may be called as a method is."""
    held = (value._parameters[slot.name] for slot in value.slots)
    return [parameter for parameter in held if parameter is not None]


def _is_site_value(value: nn.Module | None) -> TypeGuard[SiteValue]:
    return isinstance(getattr(value, "expression", None), Expression) and hasattr(value, "slots")
