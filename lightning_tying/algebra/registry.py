"""The name of a function in, its transform out; `register_transform` adds a user's own."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import TypeGuard

from lightning_tying.algebra.argument_types import check_arguments
from lightning_tying.algebra.catalogue import CATALOGUE
from lightning_tying.algebra.expression import Call
from lightning_tying.algebra.imports import may_import
from lightning_tying.algebra.signatures import make_signature
from lightning_tying.algebra.transform import Transform
from lightning_tying.errors import ConfigError
from lightning_tying.spec.functions import FUNCTIONS, Signature, register_signature
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import check_name
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.scalar_grammar import SCALAR_SIGNATURES

_REGISTERED: dict[str, type[Transform]] = {}


def register_transform(name: str, cls: type[Transform]) -> None:
    """Make a transform of your own a function of the language, in this process.

    Registering a class again under its name, as a notebook does that is run twice, replaces the one before.

    Args:
        name: what specs call it; not a word of the language and not a function of the catalogue.
        cls: its class; the arguments of its `__init__` are numbers, texts, True, False, None or lists of them.

    Raises:
        ConfigError: the name cannot be taken, or the class cannot be called from a spec.
    """
    try:
        check_name(name)
    except Mistake as mistake:
        raise ConfigError(mistake.text) from None
    if name in CATALOGUE or name in SCALAR_SIGNATURES or (name in FUNCTIONS and name not in _REGISTERED):
        raise ConfigError(f"`{name}` is a function of the language already. Choose another name.")
    if not _is_transform(cls):
        raise ConfigError(f"{cls!r} is no Transform with an `infer`, and a `forward` or `expand`, of its own.")
    before = _REGISTERED.get(name)
    if before is not None and _origin(before) != _origin(cls):
        raise ConfigError(f"`{name}` is {'.'.join(_origin(before))} already. Choose another name.")
    register_signature(make_signature(name, cls))
    _REGISTERED[name] = cls


def find_transform(function: str) -> type[Transform]:
    """The class of a function.

    Args:
        function: a name of the catalogue, a registered name, or the import path of a class.

    Raises:
        Mistake: 41, there is none.
    """
    found = CATALOGUE.get(function) or _REGISTERED.get(function)
    if found is not None:
        return found
    if "." not in function:
        known = ", ".join(sorted(FUNCTIONS))
        raise Mistake("41", f"Unknown function `{function}`.{suggest(function, FUNCTIONS)} Known: {known}.")
    return _import_transform(function)


def find_signature(function: str) -> Signature:
    """How a function is called: that of the catalogue, else made from the class.

    Raises:
        Mistake: 41, there is no such function, or its class cannot be called from a spec.
    """
    if function in FUNCTIONS:
        return FUNCTIONS[function]
    try:
        return make_signature(function, find_transform(function))
    except ConfigError as error:
        raise Mistake("41", str(error)) from None


def make_transform(call: Call) -> Transform:
    """The transform of one call.

    Raises:
        Mistake: 41, there is no such function; 43, its class does not take the arguments; 50, one is of another kind;
            what the class says of their values.
    """
    cls = find_transform(call.function)
    given = dict(call.arguments)
    check_arguments(call.function, cls, given)
    try:
        return cls(**given)
    except TypeError as error:
        try:
            inspect.signature(cls).bind(**given)
        except TypeError as mismatch:
            signature = find_signature(call.function)
            raise Mistake("43", f"{signature} is called with {', '.join(given) or 'nothing'}: {mismatch}.") from None
        raise Mistake("43", f"{call.function}: {error}") from error


def _import_transform(path: str) -> type[Transform]:
    """A class by its import path.

    Raises:
        Mistake: 41, what of the path is wrong.
    """
    module_name, _, name = path.rpartition(".")
    if not may_import(module_name):
        text = f"Unknown function `{path}`: `{module_name}` is not imported, and a checkpoint may not import modules. "
        raise Mistake("41", f"{text}Import it first, if you trust whoever made the checkpoint.")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise Mistake("41", f"Unknown function `{path}`: there is no module `{error.name}`.") from None
        raise Mistake("41", f"Unknown function `{path}`: `{module_name}` needs `{error.name}`.") from error
    except Exception as error:  # whatever the user's module does when it is imported
        text = f"Unknown function `{path}`: importing `{module_name}` fails with {type(error).__name__}: {error}"
        raise Mistake("41", text) from error
    cls = getattr(module, name, None)
    if cls is None:
        hint = suggest(name, [word for word in vars(module) if not word.startswith("_")])
        raise Mistake("41", f"Unknown function `{path}`: `{module_name}` has no `{name}`.{hint}")
    if not _is_transform(cls):
        needed = "an `infer`, and a `forward` or `expand`, of its own"
        raise Mistake("41", f"Unknown function `{path}`: `{name}` is no Transform with {needed}.")
    return cls


def _is_transform(cls: object) -> TypeGuard[type[Transform]]:
    if not inspect.isclass(cls) or not issubclass(cls, Transform) or inspect.isabstract(cls):
        return False
    return cls.forward is not Transform.forward or cls.expand is not Transform.expand


def _origin(cls: type[Transform]) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
