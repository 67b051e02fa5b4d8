"""A module, the name of a tensor and what computes it in; the tensor is a parametrization afterwards, or no more."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.resolve import own_modules, own_parameters, walk_modules
from lightning_tying.lowering.runtime.class_record import find_record, is_ours
from lightning_tying.lowering.runtime.derived_class import adopt_class, restore_class, site_property
from lightning_tying.lowering.runtime.fresh_module import make_module_dict
from lightning_tying.lowering.runtime.readers import find_sites, own_sites, reads_others
from lightning_tying.lowering.runtime.recurrent import rebuild_flat_weights
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization
from lightning_tying.lowering.runtime.site_value import SiteValue


def parametrize_site(module: nn.Module, name: str, value: SiteValue) -> None:
    """Let a tensor of a module be computed.

    The state dict has `parametrizations.‹name›.0.‹slot›` for each slot and nothing else of it.

    Args:
        module: the one that has the tensor; its class becomes one of its own, with the same name.
        name: of the tensor, a parameter of `module`.
        value: computes it.

    Raises:
        ApplyError: the module has no such parameter, or it is computed already; nothing has changed.
    """
    if name not in own_parameters(module):
        raise ApplyError(f"{type(module).__name__} has no parameter `{name}` of its own.")
    kind = adopt_class(module)
    held = own_modules(module).get("parametrizations")
    if held is None:
        held = own_modules(module)["parametrizations"] = make_module_dict()
    value.__dict__["training"] = module.training
    site = SiteParametrization(name, value)
    del own_parameters(module)[name]
    own_modules(held)[name] = site
    setattr(kind, name, site_property(name))
    rebuild_flat_weights(module)


def unparametrize_site(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Let a computed tensor be a parameter again, at its old place among the module's parameters.

    Args:
        module: the one that has the tensor.
        name: of the tensor.
        parameter: what it is from now on.

    Raises:
        ApplyError: it is not computed; nothing has changed.
    """
    held = own_modules(module).get("parametrizations")
    if find_value(module, name) is None or held is None:
        raise ApplyError(f"`{name}` of {type(module).__name__} is not computed.")
    order = find_record(type(module)).order
    del own_modules(held)[name]
    for kind in type(module).__mro__:
        if is_ours(kind) and name in vars(kind):
            delattr(kind, name)
    if not own_modules(held):
        del own_modules(module)["parametrizations"]
    _put_back(module, name, parameter, order)
    if not find_sites(module):
        restore_class(module)
    rebuild_flat_weights(module)


def find_value(module: nn.Module, name: str) -> SiteValue | None:
    """What computes a tensor of this module; None where it is not computed by us (any more)."""
    return next((site.value for site in own_sites(module) if site.tensor_name == name), None)


def stock_class(module: nn.Module) -> type:
    """The class of a module before any of its tensors was computed."""
    try:
        return find_record(type(module)).stock
    except LookupError:
        return type(module)


def install_readers(root: nn.Module) -> None:
    """Let every module that reads computed tensors of modules inside it do so once in each forward.

    To be called when all sites below `root` are parametrized; calling it again changes nothing.
    """
    for _, module in walk_modules(root, computed=False):
        if reads_others(type(module)) and find_sites(module):
            adopt_class(module)


def remove_readers(root: nn.Module) -> None:
    """Give the modules whose sites are all gone their class back."""
    for _, module in walk_modules(root):
        if is_ours(type(module)) and not find_sites(module):
            restore_class(module)


@contextmanager
def as_stock(module: nn.Module, parameters: Mapping[str, nn.Parameter]) -> Generator[None]:
    """A module for a while as it was before the tie, so that its own `reset_parameters` can be called.

    Inside, the computed tensors are the given parameters and the shared parameters in the slots are out of sight.

    Args:
        module: with computed tensors.
        parameters: one for each of them, by name.
    """
    if not own_sites(module):
        yield
        return
    kind, held, before = type(module), own_modules(module), dict(own_parameters(module))
    computed = held.pop("parametrizations")
    record = find_record(kind)
    try:
        module.__class__ = record.stock
        for name, parameter in parameters.items():
            _put_back(module, name, parameter, record.order)
        rebuild_flat_weights(module)
        yield
    finally:
        now = own_parameters(module)
        kept = {name: now[name] for name in before if name in now}
        now.clear()
        now.update(kept)
        held["parametrizations"] = computed
        module.__class__ = kind
        rebuild_flat_weights(module)


def computed_sites(root: nn.Module) -> Iterator[tuple[str, nn.Module, SiteParametrization]]:
    """Every computed tensor below `root`, once: the FQN of its module, the module, what computes it."""
    for path, module in walk_modules(root):
        for site in own_sites(module):
            yield path, module, site


def _put_back(module: nn.Module, name: str, parameter: nn.Parameter, order: tuple[str, ...]) -> None:
    held = own_parameters(module)
    held[name] = parameter
    places = {each: place for place, each in enumerate(order)}
    ordered = sorted(held.items(), key=lambda item: places.get(item[0], len(order)))
    held.clear()
    held.update(ordered)
