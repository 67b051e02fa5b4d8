"""The entry `preset` in, a `Preset` out that is known to fit (error 87); a `Preset` in, its equations out."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_tying.errors import Location
from lightning_tying.spec.fields import check_options, read_patterns, read_scalar_field, read_text
from lightning_tying.spec.findings import Findings
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import check_name
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.nodes import PlainData, Preset
from lightning_tying.spec.patterns import Pattern, read_pattern
from lightning_tying.spec.preset_equations import Expansion, PresetPlace, expand_preset
from lightning_tying.spec.scalar_grammar import SCALAR_SIGNATURES
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.tree import Fields, Items, Tree, kind_of
from lightning_tying.spec.words import WordCheck

PRESET_OPTIONS = ("preset", "where", "except")
_COMMON = ("name", "over", "as")


@dataclass(frozen=True)
class _PresetKind:
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    layers: bool = False  # whether `over` needs the hole {l}
    names: tuple[str, ...] = ("{}",)  # what its equations read; {} is `as`


PRESETS: dict[str, _PresetKind] = {
    "albert": _PresetKind((), ("groups",), layers=True),
    "cycle": _PresetKind(("M",), layers=True),
    "sequence": _PresetKind(("M",), layers=True),
    "cycle_rev": _PresetKind(("M",), layers=True),
    "middle_cycle": _PresetKind(("M",), layers=True),
    "middle_sequence": _PresetKind(("M",), layers=True),
    "sandwich": _PresetKind((), layers=True),
    "relaxed": _PresetKind(("M", "rank"), layers=True, names=("{}", "low_rank")),
    "lora": _PresetKind(("rank",), names=("{}", "low_rank")),
    "vera": _PresetKind(("rank",), ("seed",), names=("{}", "vera")),
    "templates": _PresetKind(("k",), names=("{}", "mix")),
    "basis": _PresetKind(("group", "rank"), layers=True, names=("{}", "basis")),
    "hashed": _PresetKind(("ratio",), ("seed",)),
    "intrinsic": _PresetKind(("size",), ("kind",), names=("{}", "{}_z")),
}


def read_preset(tree: Fields, let: frozenset[str], found: Findings, place: Location) -> Preset | None:
    """Read a preset as written, and check that its equations can be read; they are made where they are needed."""
    check_options("A preset", tree, PRESET_OPTIONS, found, place)
    given = {field.key: field.value for field in tree.fields}
    inside = given["preset"]
    if not isinstance(inside, Fields):
        found.add(place, "87", f"A preset is a mapping with name and over, and this is {kind_of(inside)}.")
        return None
    over: Pattern | None = None
    with found.at(place):
        over = _read_arguments(inside)
    where: Scalar | None = None
    excluded: tuple[Pattern, ...] = ()
    if "except" in given:
        excluded = read_patterns(given["except"], "except", found, place)
    with found.at(place):
        where = read_scalar_field(given["where"], "where") if "where" in given else None
        if over is not None:
            words = WordCheck((over,), let)
            words.check_holes()
            if where is not None:
                words.check_scalar(where, module=True)
    preset = Preset({field.key: _plain(field.value) for field in inside.fields}, where, excluded, place)
    if over is not None:
        with found.at(place):
            expand_entry(preset, let)
    return preset


def preset_name(preset: Preset) -> str:
    """The name under which a preset's shared parameters are known: `as`, or the preset's own."""
    return str(preset.arguments.get("as") or preset.arguments.get("name", ""))


def shared_name(preset: Preset) -> str:
    """The shared parameter of a preset's equations: its name, `cycle_` where that is the name of a function."""
    name = preset_name(preset)
    return f"{name}_" if name in FUNCTIONS or name in SCALAR_SIGNATURES else name


def names_of_preset(preset: Preset) -> tuple[str, ...]:
    """What the equations of a preset read and bring, as names for `parameters`."""
    kind = PRESETS.get(str(preset.arguments.get("name")))
    return tuple(name.format(shared_name(preset)) for name in kind.names) if kind is not None else ()


def expand_entry(preset: Preset, let: frozenset[str]) -> Expansion:
    """The equations and policies that one preset stands for.

    Args:
        preset: as it was read.
        let: the names of `let`.

    Raises:
        Mistake: an argument cannot stand in the equations; a preset of a spec without mistakes has none.
    """
    arguments = preset.arguments
    over = read_pattern(str(arguments["over"]))
    place = PresetPlace(shared_name(preset), over, preset.where, preset.excluded, preset.location, let)
    return expand_preset(str(arguments["name"]), arguments, place)


def _read_arguments(inside: Fields) -> Pattern:
    given = {field.key: field.value for field in inside.fields}
    if "name" not in given or "over" not in given:
        raise Mistake("87", 'A preset needs name and over: {name: albert, over: "layers.{l}.{name*}"}.')
    name = read_text(given["name"], "name")
    kind = PRESETS.get(name)
    if kind is None:
        raise Mistake("87", f"Unknown preset `{name}`.{suggest(name, PRESETS)} Known: {', '.join(PRESETS)}.")
    known = (*_COMMON, *kind.needed, *kind.optional)
    for key in given:
        if key not in known:
            raise Mistake("44", f"{name} has no argument `{key}`.{suggest(key, known)} Known: {', '.join(known)}.")
    missing = [key for key in kind.needed if key not in given]
    if missing:
        raise Mistake("43", f"Preset {name} needs {' and '.join(missing)}.")
    if "as" in given:
        called = read_text(given["as"], "as")
        check_name(called)
        if called in FUNCTIONS:
            raise Mistake("42", f"`{called}` is a function. Give the preset another name.")
    over = read_pattern(read_text(given["over"], "over"))
    if kind.layers and "l" not in over.captures:
        raise Mistake("87", f"Preset {name} needs a hole {{l}} in over.")
    return over


def _plain(tree: Tree) -> PlainData:
    if isinstance(tree, Fields):
        return {field.key: _plain(field.value) for field in tree.fields}
    return [_plain(item) for item in tree.items] if isinstance(tree, Items) else tree.value
