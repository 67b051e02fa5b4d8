"""A class of LightningModules in, a subclass of it with the watch's hooks out: same name, and it pickles."""

from __future__ import annotations

import copyreg
from functools import lru_cache
from types import new_class
from typing import Any, cast

from torch import nn

from lightning_tying.tasks.watch.watched_module import WatchedModule


class WatchedType(type):
    """The class of watched classes, so that pickle makes them anew from the user's class instead of by name."""


def watch(module: nn.Module) -> WatchedModule:
    """Give a LightningModule the hooks of `WatchedModule`, in place; one that has them stays as it is.

    As torch does for parametrizations and `fully_shard`, by a class of its own: the module's own hooks run first, by
    `super()`, and copies and pickles keep all of it.
    """
    if not isinstance(module, WatchedModule):
        object.__setattr__(module, "__class__", watched_class(type(module)))  # nn.Module's looks for parameters first
    return cast(WatchedModule, module)


@lru_cache(maxsize=256)
def watched_class(kind: type) -> type:
    """The subclass of a class of LightningModules with the watch's hooks in front; one for each class."""
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}

    def fill(namespace: dict[str, Any]) -> None:
        namespace.update(names)

    return new_class(kind.__name__, (WatchedModule, kind), {"metaclass": _metaclass(type(kind))}, fill)


def stock_class(kind: type) -> type:
    """The user's class of a watched one."""
    return kind.__bases__[1]


@lru_cache(maxsize=16)
def _metaclass(of_kind: type) -> type:
    """Ours, joined with the metaclass that the user's class has (`ABCMeta`)."""
    made = WatchedType if of_kind is type else cast(type, type("WatchedType", (WatchedType, of_kind), {}))
    copyreg.pickle(cast(Any, made), _reduce)
    return made


def _reduce(kind: type) -> tuple[Any, tuple[type]]:
    return watched_class, (stock_class(kind),)
