"""Units written by hand in, the modules that they mean out; or every mistake in them at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import yaml

from lightning_tying.errors import ApplyError, ConfigError
from lightning_tying.parallel.sharding.module_tree import ModuleTree
from lightning_tying.parallel.sharding.settle import ROOT, Units
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.patterns import read_pattern

WrittenUnits: TypeAlias = Sequence[Sequence[str]] | Mapping[str, Any] | str | os.PathLike[str]
_FORM = 'Write `units: [["layers.0", "layers.3"], ["embed", "head"]]`: a list of lists of FQNs or patterns.'


def find_written(written: WrittenUnits, tree: ModuleTree) -> Units:
    """Read units; the root is always one and need not be written.

    Args:
        written: lists of FQNs or patterns of modules, a mapping `units: …`, or the path of a YAML file of it.
        tree: of the module.

    Raises:
        ApplyError: with every mistake: a path that is no module, a module in two units, one inside another of its
            unit, a container without forward, a parameter that two units would take.
        ConfigError: the file is missing, or holds something else.
    """
    problems: list[str] = []
    units: list[list[str]] = []
    for number, patterns in enumerate(read_units(written)):
        modules = [module for text in patterns for module in _find_modules(text, tree, f"units[{number}]", problems)]
        units.append(list(dict.fromkeys(modules)))
    problems += [*_check_twice(units), *_check_nested(units, tree), *_check_runs(units, tree)]
    if not problems:
        found = Units(tree.first, units)
        problems += [*_check_split(found, tree), *_check_circles(found)]
        if not problems:
            return found
    raise ApplyError("\n".join(["The written units cannot be sharded:", *problems]))


def read_units(written: WrittenUnits) -> list[list[str]]:
    """The lists themselves.

    Raises:
        ConfigError: the file is missing, is not YAML, or holds something else.
    """
    content: object = written
    if isinstance(written, str | os.PathLike):
        content = _read_file(Path(written))
    if isinstance(content, Mapping):
        mapping = cast("Mapping[str, object]", content)
        if set(mapping) != {"units"}:
            raise ConfigError(f"Units: the keys are {', '.join(map(str, mapping)) or 'none'}. {_FORM}")
        content = mapping["units"]
    if not _are_lists(content):
        raise ConfigError(f"Units: {content!r} is not a list of lists. {_FORM}")
    return [list(unit) for unit in cast("Sequence[Sequence[str]]", content)]


def _read_file(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The units file {path} cannot be read: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"The units file {path} is not YAML: {error}. {_FORM}") from error


def _are_lists(content: object) -> bool:
    if not isinstance(content, Sequence) or isinstance(content, str):
        return False
    units = cast("Sequence[object]", content)
    return all(
        isinstance(unit, Sequence) and not isinstance(unit, str) and _are_texts(cast("Sequence[object]", unit))
        for unit in units
    )


def _are_texts(unit: Sequence[object]) -> bool:
    return bool(unit) and all(isinstance(text, str) and text for text in unit)


def _find_modules(text: str, tree: ModuleTree, place: str, problems: list[str]) -> list[str]:
    try:
        pattern = read_pattern(text)
    except Mistake as mistake:
        problems.append(f"{place}: {mistake}")
        return []
    found = [path for path in tree.first if path and pattern.match(path)]
    if not found:
        near = nearest_name(text, [path for path in tree.first if path])
        hint = f" Did you mean {near}?" if near else ""
        problems.append(f"{place}: no module is called {text}.{hint}")
    return [tree.first[path] for path in found]


def _check_twice(units: list[list[str]]) -> Iterator[str]:
    seen: dict[str, int] = {}
    for number, unit in enumerate(units):
        for module in unit:
            other = seen.setdefault(module, number)
            if other != number:
                yield f"units[{number}]: {module} is in units[{other}] already. Write it in one of them."


def _check_nested(units: list[list[str]], tree: ModuleTree) -> Iterator[str]:
    for number, unit in enumerate(units):
        for module in unit:
            outer = next((each for each in unit if _lies_in(module, each, tree)), None)
            if outer is not None:
                yield f"units[{number}]: {module} lies in {outer}, which takes it along. Leave {module} out."


def _lies_in(module: str, outer: str, tree: ModuleTree) -> bool:
    paths = [path for path, first in tree.first.items() if first == module]
    return any(path.startswith(f"{outer}.") for path in paths)


def _check_runs(units: list[list[str]], tree: ModuleTree) -> Iterator[str]:
    for number, unit in enumerate(units):
        for module in unit:
            if module in tree.containers:
                yield (
                    f"units[{number}]: {module} is a container without a forward of its own, so nothing would gather "
                    f"it. Write the modules in it, {module}.{{l}}, or the module around it."
                )


def _check_split(units: Units, tree: ModuleTree) -> Iterator[str]:
    for holding in tree.holdings:
        if len(units.find_all(holding.paths)) > 1:
            told = ", ".join(f"{path or 'the root'} in {_name(units, path)}" for path in holding.paths[:6])
            yield f"`{holding.name}` would be in two units: {told}. Put these modules into one list."


def _check_circles(units: Units) -> Iterator[str]:
    count = len(units.members)
    units.order()
    if len(units.members) < count:
        yield "Two units lie inside each other. Make one list of them."


def _name(units: Units, path: str) -> str:
    number = units.find(path)
    return "the root" if number == ROOT else f"[{', '.join(sorted(units.members[number])[:3])}]"
