"""The call of a function as written in, the function from a site to its arguments by name out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lightning_tying.algebra.expression import Argument, FileMap
from lightning_tying.algebra.maps.index_maps import read_map
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.words import AtSites, Evaluator
from lightning_tying.graph.reading.map_words import has_coordinates, make_scalar_map
from lightning_tying.spec.functions import FUNCTIONS, Signature
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.schema import LetValue
from lightning_tying.spec.scope import ScalarValue
from lightning_tying.spec.values import Call

ArgumentAt = Callable[[Match], Argument]
_AXES = "…"  # stands for the name of scalars that a function takes any number of
_CAPTURE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Surroundings:
    """What an equation is read with.

    Args:
        matches: its sites.
        let: the spec's names of numbers, texts, lists and mappings.
        folder: what the paths of maps are relative to.
        files: the maps that were read already, by path.
    """

    matches: Sequence[Match]
    let: Mapping[str, LetValue]
    folder: Path | None = None
    files: dict[str, FileMap] = field(default_factory=dict[str, FileMap])


def compile_arguments(call: Call, signature: Signature, around: Surroundings) -> list[tuple[str, ArgumentAt]]:
    """Every argument of a call that is no tensor, by the name under which the transform takes it.

    Args:
        call: as written.
        signature: of its function.
        around: of the equation.

    Returns:
        Functions from a site to the argument there; they raise the mistakes 46, 48, 49, 55 to 57 and 76.
    """
    given = _name_scalars(call, signature)
    letters = [(key, scalar) for key, scalar in given if signature.letters and len(key) == 1]
    axes = [scalar for key, scalar in given if key == _AXES]
    plain = [(key, scalar) for key, scalar in given if key != _AXES and (key, scalar) not in letters]
    made = [(key, _compile(key, scalar, around)) for key, scalar in plain]
    if axes:
        made.append(("axes", _compile_list(axes, around)))
    if letters:
        made.append(("sizes", _compile_letters(letters, around)))
    return made


def drop_defaults(function: str, arguments: Sequence[tuple[str, Argument]]) -> tuple[tuple[str, Argument], ...]:
    """The arguments that say more than the defaults, in the order of the signature: equal calls have equal ones."""
    signature = FUNCTIONS.get(function)
    if signature is None:
        return tuple(arguments)
    defaults = {argument.name: argument.default for argument in signature.arguments}
    places = {name: place for place, name in enumerate(defaults)}
    told = [(name, value) for name, value in arguments if repr(value) != defaults.get(name)]
    return tuple(sorted(told, key=lambda argument: places.get(argument[0], len(places))))


def _name_scalars(call: Call, signature: Signature) -> list[tuple[str, Scalar]]:
    positional = [part for part in signature.arguments if part.default is None or not signature.endless]
    named: list[tuple[str, Scalar]] = []
    for place, argument in enumerate(call.arguments):
        if isinstance(argument, Scalar):
            repeated = signature.endless and place >= len(positional) - 1
            named.append((_AXES if repeated else positional[place].name, argument))
    return [*named, *call.keywords]


def _compile(key: str, scalar: Scalar, around: Surroundings) -> ArgumentAt:
    if has_coordinates(scalar):
        return AtSites(scalar, around.let, around.matches, make_scalar_map).evaluate
    evaluate_at = Evaluator(scalar, around.let, around.matches).evaluate
    if key != "map":
        return lambda match: _as_argument(evaluate_at(match), scalar, match)

    def read_at(match: Match) -> Argument:
        value = evaluate_at(match)
        return _read_file(value, match, around) if isinstance(value, str) else constant.evaluate(match)

    constant = AtSites(scalar, around.let, around.matches, make_scalar_map)
    return read_at


def _compile_list(scalars: Iterable[Scalar], around: Surroundings) -> ArgumentAt:
    each = [_compile("axes", scalar, around) for scalar in scalars]
    return lambda match: tuple([argument(match) for argument in each])


def _compile_letters(letters: Iterable[tuple[str, Scalar]], around: Surroundings) -> ArgumentAt:
    each = [(key, _compile(key, scalar, around)) for key, scalar in letters]
    return lambda match: tuple([(key, argument(match)) for key, argument in each])


def _as_argument(value: ScalarValue, scalar: Scalar, match: Match) -> Argument:
    if isinstance(value, dict):
        raise Mistake("48", f"`{scalar.text}` is a mapping at {match.fqn}; an argument is a number, a text or a list.")
    if isinstance(value, list):
        return tuple([_as_argument(item, scalar, match) for item in value])
    return value


def _read_file(template: str, match: Match, around: Surroundings) -> FileMap:
    """The map behind a path whose captures are replaced; each file is read once."""
    path, used = template, dict.fromkeys(_CAPTURE.findall(template))
    for name in used:
        if name not in match.captures:
            known = ", ".join(match.captures) or "none"
            raise Mistake("46", f"`{{{name}}}` in `{template}` is no capture of this equation ({known}).")
        path = path.replace(f"{{{name}}}", str(match.captures[name]))
    if path not in around.files:
        words = ", ".join(f"{name} = {match.captures[name]!r}" for name in used)
        around.files[path] = read_map(path, around.folder, f"{words} at {match.fqn}" if words else f"at {match.fqn}")
    return around.files[path]
