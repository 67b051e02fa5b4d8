"""The names under which a value's parameters are known: families, functions such as `low_rank2`, and `low_rank.A`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nodes import Init
from lightning_tying.spec.values import Call, Value


def family_names(value: Value) -> tuple[str, ...]:
    """The shared parameters that a value names, each once."""
    return tuple(dict.fromkeys(ref.name for ref in value.refs()))


def function_names(value: Value) -> tuple[str, ...]:
    """The functions that bring parameters, a second call of one as `low_rank2`; by the name after the last dot."""
    seen: Counter[str] = Counter()
    names: list[str] = []
    for call in value.calls():
        if brings_parameters(call):
            name = call.function.rsplit(".", 1)[-1]
            seen[name] += 1
            names.append(name if seen[name] == 1 else f"{name}{seen[name]}")
    return tuple(names)


def brings_parameters(call: Call) -> bool:
    """Whether a call has parameters of its own; one by import path is taken to have some."""
    signature = FUNCTIONS.get(call.function)
    return signature is None or bool(signature.brings)


def own_names(value: Value) -> Iterator[str]:
    """Every name that `init` and `parameters` may say for a value: `W`, `low_rank`, `low_rank.A`."""
    yield from family_names(value)
    for name in function_names(value):
        yield from with_own(name)
    for call in value.calls():
        if call.function not in FUNCTIONS:
            yield call.function


def with_own(name: str) -> Iterator[str]:
    """A name, and where it is a function's the names of what it brings: `low_rank`, `low_rank.A`, `low_rank.B`."""
    yield name
    signature = FUNCTIONS.get(name.rstrip("0123456789"))
    yield from (f"{name}.{own}" for own in (signature.brings if signature else ()))


def is_named(key: str, names: frozenset[str]) -> bool:
    """Whether a key names something; what a function by import path brings is not known here, and let through."""
    outer = key.rpartition(".")[0]
    known_function = outer.rstrip("0123456789") in FUNCTIONS
    return key in names or (bool(outer) and not known_function and outer in names)


def check_init_names(init: Mapping[str, Init], value: Value) -> None:
    """Refuse an initial value for a name that the equation does not read.

    Raises:
        Mistake: 80.
    """
    names = frozenset(own_names(value))
    for key in init:
        if key and not is_named(key, names):
            reads = ", ".join((*family_names(value), *function_names(value)))
            raise Mistake("80", f"`init` names `{key}`, which this equation does not read. It reads {reads}.")
