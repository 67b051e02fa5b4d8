"""A tied module in, a plain module with the same outputs out: every value is written into a parameter."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_tying.lowering.retie import remove_hooks
from lightning_tying.lowering.runtime.parametrize import computed_sites, remove_readers, unparametrize_site
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization
from lightning_tying.lowering.state import find_tied


def materialize_module(module: nn.Module) -> nn.Module:
    """Write the values in, in place.

    Every derived site becomes a parameter of its own with the site's value; modules get their classes back. Sites
    that are aliases of one parameter still are. Nothing keeps these ties from now on: the module is as if tied by hand.

    Args:
        module: tied, or with tied modules inside; on any device.

    Returns:
        The same module. It trains if the shared parameters of a site did: a parameter that was made from at least
        one trainable parameter is trainable.
    """
    found = list(computed_sites(module))
    made: list[tuple[nn.Module, str, nn.Parameter]] = []
    for _, part, site in found:  # all are computed before anything changes
        trains = any(parameter.requires_grad for parameter in site.parameters_read())
        made.append((part, site.tensor_name, nn.Parameter(_evaluate(site), requires_grad=trains)))
    for _, root, _ in list(find_tied(module)):
        remove_hooks(root)
    for part, name, parameter in made:
        unparametrize_site(part, name, parameter)
    remove_readers(module)
    return module


def _evaluate(site: SiteParametrization) -> Tensor:
    """The value in memory of its own, as in eval: dropout of cells has no part in it."""
    training = site.training
    site.eval()
    try:
        with torch.inference_mode(False), torch.no_grad():
            return site().detach().clone(memory_format=torch.contiguous_format)
    finally:
        site.train(training)
