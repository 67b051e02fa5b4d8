"""The arguments of one call and its class in; nothing out, or the `Mistake` that an argument of another kind makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from lightning_tying.algebra.expression import Argument, FileMap, ScalarMap
from lightning_tying.spec.mistakes import Mistake

_WORDS: Mapping[object, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    type(None): "None",
    tuple: "a list",
    FileMap: "a map",
    ScalarMap: "a map",
}


def check_arguments(function: str, cls: type[object], arguments: Mapping[str, Argument]) -> None:
    """Refuse an argument that is not of the type that the class's `__init__` declares, where it declares one.

    Args:
        function: for the message.
        cls: the transform's class.
        arguments: by name.

    Raises:
        Mistake: 50.
    """
    hints = _read_hints(cls)
    for name, value in arguments.items():
        hint = hints.get(name, object)
        if not _is_a(value, hint):
            advice = " Write // in place of /." if isinstance(value, float) and _is_a(int(value), hint) else ""
            raise Mistake("50", f"{function}: {name} is {_show(value)}, not {_describe(hint)}.{advice}")


@lru_cache(maxsize=256)
def _read_hints(cls: type[object]) -> Mapping[str, object]:
    """The declared types; none where a user's class declares what cannot be resolved."""
    try:
        return get_type_hints(cast("Callable[..., Any]", cls.__init__))
    except (NameError, TypeError, AttributeError):
        return {}


def _is_a(value: object, hint: object) -> bool:
    if hint is bool or hint is int or hint is str or hint is type(None):
        return type(value) is hint
    if hint is float:
        return type(value) in (int, float)
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Union or origin is UnionType:
        return any(_is_a(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and _are(cast("tuple[object, ...]", value), parts)
    return not isinstance(hint, type) or isinstance(value, hint)


def _are(values: tuple[object, ...], parts: tuple[object, ...]) -> bool:
    if len(parts) == 2 and parts[1] is Ellipsis:
        return all(_is_a(value, parts[0]) for value in values)
    return len(values) == len(parts) and all(_is_a(value, part) for value, part in zip(values, parts, strict=True))


def _describe(hint: object) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Union or origin is UnionType:
        return " or ".join(dict.fromkeys(_describe(part) for part in parts))
    if origin is tuple:
        return f"a list of {_describe(parts[0]).removeprefix('a ')}s" if Ellipsis in parts else "a list"
    return _WORDS.get(hint, str(hint))


def _show(value: Argument) -> str:
    if isinstance(value, (FileMap, ScalarMap)):
        return "a map"
    return f"the text {value!r}" if isinstance(value, str) else str(list(value) if isinstance(value, tuple) else value)
