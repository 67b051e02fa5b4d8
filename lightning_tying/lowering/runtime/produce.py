"""A site in, its value out, for a backward pass that holds nothing but the shared parameters.

Most values (sums, products of shared parameters, gathered cells) save nothing of their own size. One that does
(`tanh`, `normalize`, a chain of products) is computed by a function of its own, which saves the shared parameters and
computes the value with its steps again in the backward pass.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.graph import saved_tensors_hooks

from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.runtime.autograd_state import storage_key
from lightning_tying.lowering.runtime.recompute import Origin
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization

_MUCH = 0.25  # of the value's own bytes


def produce(site: SiteParametrization, base: bool) -> Tensor:
    """The value of a site, with gradients to its slots; none of its steps is kept for the backward pass."""
    parameters = site.parameters_read()
    # Sharded ones are gathered only inside the call, so a function of its own never sees what it is to derive by.
    if site.gathered or any(is_sharded(parameter) for parameter in parameters) or not _keeps_steps(site, base):
        return site(base)
    function: Any = _Produced  # torch's stubs leave `apply` open
    return cast(Tensor, function.apply(site, base, *parameters))


class _Produced(Function):
    @staticmethod
    def forward(ctx: Any, site: SiteParametrization, base: bool, *parameters: Tensor) -> Tensor:
        del parameters  # given so that autograd links the value to them
        ctx.origin, ctx.base = Origin(site, site.tensor_name), base
        return site(base)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by way of the value's own graph, made here; with `create_graph` they can be derived again."""
        parameters = ctx.origin.parameters
        wanted = [parameter for parameter in parameters if parameter.requires_grad]
        twice = torch.is_grad_enabled()
        with torch.enable_grad():
            value = ctx.origin.compute(ctx.base)
            if not value.requires_grad:  # `stop` around everything
                return None, None, *(None for _ in parameters)
            found = iter(torch.autograd.grad(value, wanted, grads[0], create_graph=twice, allow_unused=True))
        return None, None, *(next(found) if parameter.requires_grad else None for parameter in parameters)


def _keeps_steps(site: SiteParametrization, base: bool) -> bool:
    """Whether the value's graph would save much that is neither a shared parameter nor a fixed map; found once."""
    known = site.value.keeps_steps
    if base not in known:
        known[base] = _measure_steps(site, base)
    return known[base]


def _measure_steps(site: SiteParametrization, base: bool) -> bool:
    """Compute it twice: what both save in the same memory is there to stay."""
    first, second = _saved_by(site, base), _saved_by(site, base)
    slots = {storage_key(parameter) for parameter in site.parameters_read()}
    steps = [tensor for key, tensor in first.items() if key not in second and key not in slots]
    size = site.value.expression_bytes
    return sum(tensor.numel() * tensor.element_size() for tensor in steps) > _MUCH * size


def _saved_by(site: SiteParametrization, base: bool) -> dict[int | None, Tensor]:
    """The tensors that the value's graph saves, alive, by their memory."""
    saved: dict[int | None, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        alive = tensor.detach()
        saved[storage_key(alive)] = alive
        return alive

    with torch.enable_grad(), saved_tensors_hooks(note, lambda tensor: tensor):
        site(base)
    return saved
