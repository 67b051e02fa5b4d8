"""A transform of the user's own in; how it is called out, so that a spec is read as one of the catalogue is."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import cast

from lightning_tying.algebra.transform import Transform
from lightning_tying.errors import ConfigError
from lightning_tying.spec.functions import Argument, Signature

_PLAIN = (bool, int, float, str, type(None))


def make_signature(name: str, cls: type[Transform]) -> Signature:
    """How a transform is called: its operands, then the arguments of its `__init__` in their order.

    Args:
        name: as it is written in a value.
        cls: its class.

    Raises:
        ConfigError: it takes arguments that no spec can give, or cannot be told apart from its operands.
    """
    endless = cls.operands[-1:] == ("…",)
    operands = [Argument(operand, "value") for operand in cls.operands if operand != "…"]
    scalars = list(_read_arguments(name, cls))
    names = [argument.name for argument in (*operands, *scalars)]
    twice = [word for place, word in enumerate(names) if word in names[:place]]
    if twice:
        raise ConfigError(f"{name}: `{twice[0]}` is both an operand and an argument. Rename one.")
    required = [argument.name for argument in scalars if argument.default is None]
    if endless and required:
        raise ConfigError(f"{name}: `{required[0]}` follows operands without an end, so it needs a default.")
    brings = tuple(own.name for own in cls.brings)
    written = [argument.name for argument in operands] + ["…"] * endless
    written += [part.name if part.default is None else f"{part.name}={part.default}" for part in scalars]
    return Signature(
        name, ", ".join(written), (*operands, *scalars), endless=endless, brings=brings, fixed_map=cls.fixed_map
    )


def _read_arguments(name: str, cls: type[Transform]) -> Iterator[Argument]:
    if "__init__" not in vars(cls) and cls.__init__ is object.__init__:
        return
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    for parameter in parameters:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigError(f"{name}: `{parameter}` of its __init__ has no name that a spec could give.")
        if parameter.default is parameter.empty:
            default = None
        elif _is_plain(parameter.default):
            default = repr(parameter.default)
        else:
            raise ConfigError(f"{name}: the default of `{parameter.name}` is no number, text, True, False or None.")
        yield Argument(parameter.name, "map" if parameter.name == "map" else "scalar", default)


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_plain(part) for part in cast("tuple[object, ...]", value))
    return isinstance(value, _PLAIN)
