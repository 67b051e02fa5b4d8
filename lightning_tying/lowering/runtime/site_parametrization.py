"""What stands under `module.parametrizations.weight`: torch's list of parametrizations, with a `SiteValue` first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.resolve import own_modules
from lightning_tying.lowering.runtime.autograd_state import shares_memory
from lightning_tying.lowering.runtime.fresh_module import initialize
from lightning_tying.lowering.runtime.site_value import SiteValue


class SiteParametrization(ParametrizationList):
    """Computes a site; holds no `original`, so its state consists of the shared parameters alone.

    Args:
        name: of the tensor in its module, for messages.
        value: computes it.

    Attributes:
        gathered: whether its parameters are there only while it is called: `fully_shard` has made it part of a unit.
        given_as: the dtype in which readers get the value, where a strategy's policy wants another than its own.
    """

    tensor_name: str
    gathered: bool = False
    given_as: torch.dtype | None = None

    def __init__(self, name: str, value: SiteValue) -> None:
        initialize(self)  # torch's own would ask the value for an inverse and compute it to check it
        # All at once, since nn.Module looks through its registers for each attribute; the first three are torch's.
        self.__dict__.update(unsafe=True, is_tensor=False, ntensors=0, tensor_name=name)
        self.__dict__["training"] = value.training
        own_modules(self)["0"] = value

    @property
    def value(self) -> SiteValue:
        """What computes the site."""
        return cast(SiteValue, own_modules(self)["0"])

    @property
    def dtype(self) -> torch.dtype:
        """Of what readers get."""
        return self.value.dtype if self.given_as is None else self.given_as

    def forward(self, base: bool = False) -> Tensor:
        """The value; `base` leaves out its `low_rank` terms."""
        value = self[0](base)
        if self.given_as is not None:
            value = value.to(self.given_as)
        if self.gathered and shares_memory(value, self.parameters_read()):
            return value.clone()  # the memory of gathered parameters is given back when this call has ended
        return value

    def append(self, module: nn.Module) -> SiteParametrization:
        """What torch calls to put another parametrization on top, `weight_norm` and `spectral_norm` among them.

        Raises:
            ApplyError: always, before anything has changed: no plan would know of it.
        """
        raise ApplyError(
            f"`{self.tensor_name}` is computed by a sharing spec, so {type(module).__name__} cannot be registered on "
            "it. Write what it does into the equation, or call untie(module, [site]) or materialize(module) first."
        )

    def right_inverse(self, value: Tensor) -> None:  # noqa: ARG002  # torch's signature
        """Assigning to the site.

        Raises:
            ApplyError: always; the value is computed.
        """
        raise_assigned(self.tensor_name, self.value)

    def parameters_read(self) -> list[nn.Parameter]:
        """What the slots hold now."""
        return self.value.parameters_read()

    def compute_with(self, parameters: Sequence[Tensor], base: bool) -> Tensor:
        """The value for other tensors in the slots."""
        return self.value.compute_with(parameters, base)


def raise_assigned(name: str, value: SiteValue) -> None:
    """Refuse to write to a site.

    Raises:
        ApplyError: with the ways to do it.
    """
    read = ", ".join(f"`{slot.parameter}` (parametrizations.{name}.0.{slot.name})" for slot in value.slots)
    raise ApplyError(
        f"`{name}` is computed from {read} and cannot be assigned or deleted. Write to a shared parameter under "
        "torch.no_grad(), or call untie(module, [site]) or materialize(module) first."
    )
