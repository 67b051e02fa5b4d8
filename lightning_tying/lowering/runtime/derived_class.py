"""A module in; its class is its own afterwards, with a property for each computed tensor and a scope for its forward.

The class is called as the user's and is a subclass of it. Every module has its own, since torch edits it when it
registers or removes a parametrization. It pickles and copies by the user's class, and a copy gets a class of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.resolve import own_modules, own_parameters
from lightning_tying.lowering.runtime.class_record import ClassRecord, find_record, is_ours, record_entry
from lightning_tying.lowering.runtime.output_side import is_conv1d, is_linear, run_conv1d, run_linear
from lightning_tying.lowering.runtime.reader_scope import ReaderStyle, read_site, reads_cached, run_reader
from lightning_tying.lowering.runtime.readers import (
    casts_for_autocast,
    find_sites,
    own_sites,
    reads_in_fast_path,
    reads_others,
)
from lightning_tying.lowering.runtime.recurrent import METHODS, drop_values
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization, raise_assigned


def adopt_class(module: nn.Module) -> type:
    """Give a module a class of its own, unless it has one; the class.

    Properties that torch's own parametrizations have put into the module's class move into the new one.
    """
    kind = type(module)
    if is_ours(kind):
        return kind
    torch_names = _torch_names(module)
    stock = kind.__bases__[0] if torch_names else kind
    made = make_class(ClassRecord(stock, tuple(own_parameters(module))))
    for name in torch_names:
        setattr(made, name, vars(kind)[name])
    object.__setattr__(module, "__class__", made)  # nn.Module's looks whether it is a parameter or a module first
    return made


def restore_class(module: nn.Module) -> None:
    """Give a module its class back when nothing of it is computed any more."""
    if is_ours(type(module)) and not parametrize.is_parametrized(module):
        own_modules(module).pop("parametrizations", None)
        module.__class__ = find_record(type(module)).stock


def make_class(record: ClassRecord) -> type:
    """A subclass of the user's class, with its name."""
    stock = record.stock
    return type(stock.__name__, (stock,), _make_namespace(stock) | record_entry(record))


@lru_cache(maxsize=256)
def _make_namespace(stock: type) -> dict[str, object]:
    """What all our subclasses of one class have alike."""
    namespace: dict[str, object] = {
        "__module__": stock.__module__,
        "__qualname__": stock.__qualname__,
        "__doc__": stock.__doc__,
        "forward": _make_forward(stock),
        "register_parameter": _make_register(stock),
        "__delattr__": _make_delete(stock),
        "__reduce_ex__": _reduce,
        "__deepcopy__": _copy,
    }
    if issubclass(stock, nn.RNNBase):
        namespace.update(METHODS)
    return namespace


@lru_cache(maxsize=1024)
def site_property(name: str) -> property:
    """What reads a computed tensor, and refuses to write it."""

    def read(module: nn.Module) -> Tensor:
        if torch.compiler.is_compiling():
            parametrizations: Any = module.parametrizations
            return parametrizations[name]()
        held: Any = module.__dict__["_modules"]["parametrizations"]  # as own_modules, without two calls for each read
        site = None if held is None else held.__dict__["_modules"][name]
        if not isinstance(site, SiteParametrization):
            raise AttributeError(f"{type(module).__name__} has no computed tensor `{name}` any more.")
        return read_site(site)

    def write(module: nn.Module, value: object) -> None:
        del value
        _refuse(module, name)

    return property(read, write)


def rebuild(stock: type, order: tuple[str, ...], names: tuple[str, ...]) -> nn.Module:
    """A module without state, of a new class of its own: what unpickling and copying begin with."""
    made = make_class(ClassRecord(stock, order))
    for name in names:
        setattr(made, name, site_property(name))
    return cast(Any, made).__new__(made)


def _make_forward(stock: type[Any]) -> Callable[..., Any]:
    run: Any = run_linear if is_linear(stock) else run_conv1d if is_conv1d(stock) else None
    recurrent = issubclass(stock, nn.RNNBase)
    in_fast_path = reads_in_fast_path(stock)
    sites_of = find_sites if reads_others(stock) else own_sites
    style = ReaderStyle(casts=casts_for_autocast(stock), records=not in_fast_path)

    def forward(self: nn.Module, *arguments: Any, **keywords: Any) -> Any:
        if not (recurrent or torch.compiler.is_compiling()) and reads_cached(self):
            return stock.forward(self, *arguments, **keywords)
        call = stock.forward if run is None else run  # looked up now: somebody may have replaced it
        if torch.compiler.is_compiling() or (in_fast_path and self.training):
            result = call(self, *arguments, **keywords)
        else:
            try:
                result = run_reader(style, sites_of(self), call, self, *arguments, **keywords)
            except BaseException:
                if recurrent:
                    drop_values(self)
                raise
        if recurrent:
            drop_values(self)
        return result

    forward.__wrapped__ = stock.forward  # pyright: ignore[reportFunctionMemberAccess]  # inspect.signature follows it
    return forward


def _make_register(stock: type[Any]) -> Callable[..., None]:
    def register_parameter(self: nn.Module, name: str, param: nn.Parameter | None) -> None:
        """As `nn.Module`'s, which `module.weight = nn.Parameter(…)` calls; computed tensors are refused."""
        if any(site.tensor_name == name for site in own_sites(self)):
            _refuse(self, name)
        stock.register_parameter(self, name, param)

    return register_parameter


def _make_delete(stock: type[Any]) -> Callable[..., None]:
    def delete(self: nn.Module, name: str) -> None:
        if any(site.tensor_name == name for site in own_sites(self)):
            _refuse(self, name)
        cast(Any, stock).__delattr__(self, name)

    return delete


def _refuse(module: nn.Module, name: str) -> None:
    site = next((site for site in own_sites(module) if site.tensor_name == name), None)
    if site is None:
        raise ApplyError(f"{type(module).__name__} has no computed tensor `{name}` any more.")
    raise_assigned(name, site.value)


def _torch_names(module: nn.Module) -> tuple[str, ...]:
    """The tensors of a module that torch's own parametrizations compute."""
    held = own_modules(module).get("parametrizations")
    if not isinstance(held, nn.ModuleDict):
        return ()
    return tuple(name for name, site in own_modules(held).items() if not isinstance(site, SiteParametrization))


def _reduce(self: nn.Module, protocol: int) -> tuple[Any, ...]:
    """For pickle: the user's class, the names and the state; shared parameters stay shared by pickle's own memory."""
    del protocol
    names = _torch_names(self)
    if names:
        raise RuntimeError(
            f"{', '.join(names)} of {type(self).__name__} has a parametrization of torch, and torch serializes "
            "such a module only through state_dict(). Call torch.nn.utils.parametrize.remove_parametrizations first."
        )
    return rebuild, _recipe(self), _state(self)


def _copy(self: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """For `copy.deepcopy`, also beside parametrizations of torch."""
    replica = rebuild(*_recipe(self))
    memo[id(self)] = replica
    for name in _torch_names(self):
        setattr(type(replica), name, vars(type(self))[name])
    state: Any = copy.deepcopy(_state(self), memo)
    untyped: Any = replica
    untyped.__setstate__(state)
    return replica


def _recipe(module: nn.Module) -> tuple[type, tuple[str, ...], tuple[str, ...]]:
    record = find_record(type(module))
    return record.stock, record.order, tuple(site.tensor_name for site in own_sites(module))


def _state(module: nn.Module) -> Mapping[str, Any]:
    untyped: Any = module
    return untyped.__getstate__()
