"""The name and arguments of a preset in, its equations and policies out, by the table of section 10."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lightning_tying.errors import Location
from lightning_tying.spec.inits import read_init
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nodes import Equation, PlainData, Policy
from lightning_tying.spec.patterns import Pattern
from lightning_tying.spec.scalars import Scalar, make_scalar, read_scalar
from lightning_tying.spec.value_reader import read_value
from lightning_tying.spec.words import WordCheck


@dataclass(frozen=True)
class PresetPlace:
    """What all equations of one preset have in common.

    Args:
        name: of the shared parameter, X in the table.
        over: the pattern, O in the table.
        where: beside the preset.
        excluded: beside the preset.
        location: of the preset.
        let: the names of `let`.
    """

    name: str
    over: Pattern
    where: Scalar | None = None
    excluded: tuple[Pattern, ...] = ()
    location: Location = field(default=Location())
    let: frozenset[str] = frozenset()

    @property
    def index(self) -> tuple[str, ...]:
        """The captures of `over` but `l`, in order."""
        return tuple(name for name in self.over.captures if name != "l")


@dataclass(frozen=True)
class Expansion:
    """What a preset stands for: equations, and policies that those of the spec overrule."""

    equations: tuple[Equation, ...]
    policies: Mapping[str, Policy] = field(default_factory=dict[str, Policy])


def expand_preset(preset: str, arguments: Mapping[str, PlainData], place: PresetPlace) -> Expansion:
    """The equations that a preset stands for.

    Args:
        preset: its name, one of the table's.
        arguments: what it is given, numbers or scalars as text; those that it needs are there.
        place: name, pattern and options.

    Raises:
        Mistake: an argument is no scalar, or names what the equations cannot read.
    """
    check_shared_name(place)
    return _EXPANSIONS[preset](_Writer(preset, arguments, place))


def check_shared_name(place: PresetPlace) -> None:
    """Refuse a preset whose shared parameter is called like a hole or a name of `let`.

    Raises:
        Mistake: 53.
    """
    for words, kind in ((place.over.captures, "a capture of this equation"), (place.let, "a name of let")):
        if place.name in words:
            raise Mistake("53", f"`{place.name}` is {kind} and cannot also name a shared parameter.")


@dataclass(frozen=True)
class _Writer:
    """Writes equations for one preset."""

    preset: str
    arguments: Mapping[str, PlainData]
    place: PresetPlace

    def scalar(self, key: str, default: str = "") -> str:
        """An argument as the text of a scalar."""
        value = self.arguments.get(key)
        if value is None:
            return default
        if isinstance(value, (list, dict)):
            raise Mistake("7", f"`{key}` is a number or a scalar as text.")
        return read_scalar(value if isinstance(value, str) else repr(value)).text

    def word(self, key: str, default: str) -> str:
        """An argument that is a word, as a quoted text."""
        value = self.arguments.get(key, default)
        if not isinstance(value, str):
            raise Mistake("7", f"`{key}` is a text, such as {default}.")
        return repr(value)

    def member(self, *more: str) -> str:
        """`X[c, …]`; the bare name where nothing is left to tell members apart."""
        places = (*self.place.index, *more)
        return f"{self.place.name}[{', '.join(places)}]" if places else self.place.name

    def equation(
        self, value: str, where: str = "", init: Mapping[str, str] | None = None, *, alone: bool = True
    ) -> Equation:
        place = self.place
        check = WordCheck((place.over,), place.let)
        read = read_value(value, check.words)
        check.check_value(read)
        inits = {name: read_init(text) for name, text in (init or {}).items()}
        condition = _join_conditions(place.where, where)
        return Equation((place.over,), read, condition, place.excluded, inits, location=place.location, alone=alone)

    def policy(self, *, shape: str | None = None, frozen: bool | None = None, weight_decay: float = 1.0) -> Policy:
        sizes = None if shape is None else (read_scalar(shape),)
        return Policy(sizes, frozen=frozen, weight_decay=weight_decay, location=self.place.location)


def _join_conditions(where: Scalar | None, more: str) -> Scalar | None:
    if where is None or not more:
        return read_scalar(more) if more else where
    return make_scalar(ast.BoolOp(ast.And(), [where.node, read_scalar(more).node]))


def _assign(write: _Writer, index: str, value: str = "{}") -> Equation:
    return write.equation(value.format(write.member(index)))


def _albert(write: _Writer) -> Expansion:
    return Expansion((_assign(write, f"sequence(l, {write.scalar('groups', '1')})"),))


def _assignment(write: _Writer) -> Expansion:
    return Expansion((_assign(write, f"{write.preset}(l, {write.scalar('M')})"),))


def _sandwich(write: _Writer) -> Expansion:
    return Expansion((_assign(write, "sandwich(l)"),))


def _relaxed(write: _Writer) -> Expansion:
    member = write.member(f"cycle(l, {write.scalar('M')})")
    delta = f"low_rank(min({write.scalar('rank')}, d0, numel // d0))"
    name = write.place.name
    return Expansion(
        (
            write.equation(f"{member} + {delta}", "ndim >= 2", {name: "mean", "low_rank": "svd"}, alone=False),
            write.equation(member, "ndim < 2", {name: "mean"}, alone=False),
        )
    )


def _lora(write: _Writer) -> Expansion:
    return _frozen_and(write, f"low_rank({write.scalar('rank')})")


def _vera(write: _Writer) -> Expansion:
    return _frozen_and(write, f"vera({write.scalar('rank')}, {write.scalar('seed', '0')})")


def _frozen_and(write: _Writer, delta: str) -> Expansion:
    name = write.place.name
    equation = write.equation(f"{name}[site] + {delta}", "ndim >= 2")
    return Expansion((equation,), {name: write.policy(frozen=True)})


def _templates(write: _Writer) -> Expansion:
    value = f"mix({write.member()}, {write.scalar('k')})"
    equation = write.equation(value, init={write.place.name: "kaiming_normal"})
    return Expansion((equation,), {"mix": write.policy(weight_decay=0.0)})


def _basis(write: _Writer) -> Expansion:
    member = write.member(f"l // ({write.scalar('group')})")
    value = f"basis({member}, {write.scalar('rank')})"
    return Expansion((write.equation(value, init={write.place.name: "svd_joint"}),))


def _hashed(write: _Writer) -> Expansion:
    name = write.place.name
    equation = write.equation(f"hashed({name}[site], {write.scalar('seed', '0')})")
    shape = f"max(1, numel // ({write.scalar('ratio')}))"
    return Expansion((equation,), {name: write.policy(shape=shape)})


def _intrinsic(write: _Writer) -> Expansion:
    name = write.place.name
    pool = f"{name}_z"
    equation = write.equation(f"{name}[site] + project({pool}, kind={write.word('kind', 'dense')})")
    policies = {name: write.policy(frozen=True), pool: write.policy(shape=write.scalar("size"))}
    return Expansion((equation,), policies)


_EXPANSIONS: dict[str, Callable[[_Writer], Expansion]] = {
    "albert": _albert,
    **dict.fromkeys(("cycle", "sequence", "cycle_rev", "middle_cycle", "middle_sequence"), _assignment),
    "sandwich": _sandwich,
    "relaxed": _relaxed,
    "lora": _lora,
    "vera": _vera,
    "templates": _templates,
    "basis": _basis,
    "hashed": _hashed,
    "intrinsic": _intrinsic,
}
