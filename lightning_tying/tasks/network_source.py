"""Where a task's network comes from: a module, a callable, or in a config a class or a function's import path."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, Union, cast

from jsonargparse.typing import (
    register_type,  # pyright: ignore[reportUnknownVariableType]  # typed in part
)
from torch import nn

from lightning_tying.errors import ConfigError


class NetworkMaker:
    """A function that makes a network, named in a config by its import path: `my_package.nets.make`.

    Args:
        path: the import path.
        make: the function.
    """

    def __init__(self, path: str, make: Callable[[], nn.Module]) -> None:
        self.path = path
        self.make = make

    def __call__(self) -> nn.Module:
        return self.make()


if TYPE_CHECKING:
    Network: TypeAlias = Union[nn.Module, Callable[[], nn.Module]]
else:
    # jsonargparse would take a class whose arguments are wrong for a `Callable` that is given them later
    Network = Union[nn.Module, NetworkMaker]


def check_maker(make: Callable[[], nn.Module]) -> None:
    """Refuse a network's maker that cannot be called without arguments.

    Raises:
        ConfigError: naming the missing argument.
    """
    if not callable(make):
        raise ConfigError(f"`network` is a torch.nn.Module or makes one, not an object of type {type(make).__name__}.")
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):
        return
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    wanted = [each.name for each in parameters if each.default is each.empty and each.kind in kinds]
    if wanted:
        name = getattr(make, "__qualname__", type(make).__name__)
        raise ConfigError(f"`network`: {name} needs a value for `{'`, `'.join(wanted)}`.")


def _read_path(path: object) -> NetworkMaker:
    if not isinstance(path, str) or "." not in path:
        raise ValueError("the import path of a function is expected")
    module, _, name = path.rpartition(".")
    try:
        made: Any = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ValueError(str(error)) from error
    if isinstance(made, type) or not callable(made):
        raise ValueError(f"{path} is not a function")
    return NetworkMaker(path, cast("Callable[[], nn.Module]", made))


def _write_path(maker: NetworkMaker) -> str:
    return maker.path


register_type(NetworkMaker, serializer=_write_path, deserializer=_read_path, fail_already_registered=False)
