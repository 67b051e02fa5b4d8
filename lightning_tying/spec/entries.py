"""One item of `share` in, an `Equation`, `Tie` or `Preset` out; all its mistakes are found."""

from __future__ import annotations

from dataclasses import dataclass

from lightning_tying.errors import Location
from lightning_tying.spec.fields import (
    check_options,
    read_flag,
    read_patterns,
    read_scalar_field,
    read_text,
    show,
)
from lightning_tying.spec.findings import Findings, Guard
from lightning_tying.spec.functions import FUNCTIONS
from lightning_tying.spec.inits import read_init, site_captures
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import check_name
from lightning_tying.spec.nodes import Entry, Equation, Grad, Init, Tie
from lightning_tying.spec.one_line import split_equation
from lightning_tying.spec.own_names import check_init_names
from lightning_tying.spec.patterns import Pattern
from lightning_tying.spec.presets import read_preset
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.tree import Field, Fields, Items, Leaf, Tree, describe_value, kind_of
from lightning_tying.spec.value_reader import read_value
from lightning_tying.spec.values import Value
from lightning_tying.spec.words import WordCheck

EQUATION_OPTIONS = ("sites", "equals", "where", "except", "init", "grad", "penalty", "keep")
TIE_OPTIONS = ("tie", "name", "except", "init", "grad")


def read_entry(tree: Tree, let: frozenset[str], found: Findings, place: Location) -> Entry | None:
    """Read one entry.

    Args:
        tree: the item as it stands in the file.
        let: the names of `let`.
        found: where mistakes go.
        place: of the entry, which is the place of all its mistakes.

    Returns:
        The entry, or None where it has a mistake without which nothing can be made of it.
    """
    before = len(found.problems)
    entry: Entry | None = None
    if isinstance(tree, Leaf):
        with found.at(place):
            entry = _read_line(tree, let, found, place)
    elif isinstance(tree, Items):
        found.add(place, "12", "An entry is an equation, a tie or a preset, and this is a list.")
    elif tree.find("preset") is not None:
        entry = read_preset(tree, let, found, place)
    elif tree.find("tie") is not None:
        entry = _EntryReader(tree, let, found, place).read_tie()
    else:
        entry = _EntryReader(tree, let, found, place).read_equation()
    return entry if len(found.problems) == before else None


def _read_line(leaf: Leaf, let: frozenset[str], found: Findings, place: Location) -> Entry | None:
    if not isinstance(leaf.value, str):
        raise Mistake("12", f"An entry is a text or a mapping, and {leaf.written or 'this'} is {kind_of(leaf)}.")
    sites, equals = split_equation(leaf.value)
    leaves = {"sites": Leaf(sites, sites, place), "equals": Leaf(equals, equals, place)}
    fields = Fields(tuple(Field(key, part, place) for key, part in leaves.items()), place)
    return _EntryReader(fields, let, found, place).read_equation()


@dataclass
class _EntryReader:
    """Reads the options of one entry, each in its own guard, so that one mistake does not hide another."""

    fields: Fields
    let: frozenset[str]
    found: Findings
    place: Location

    def _at(self, key: str) -> Guard:
        """A guard whose mistakes are told at the line of an option."""
        return self.found.at(self._place_of(self.fields.find(key)))

    def _place_of(self, tree: Tree | None) -> Location:
        line = tree.location.line if tree is not None else self.place.line
        return Location(self.place.source, line, self.place.path)

    def read_equation(self) -> Equation | None:
        known = check_options("An equation", self.fields, EQUATION_OPTIONS, self.found, self.place)
        missing = [key for key in ("sites", "equals") if self.fields.find(key) is None]
        if missing:
            if known:
                text = f"An equation needs {' and '.join(f'`{key}`' for key in missing)}."
                self.found.add(self.place, "11", f"{text} Known: {', '.join(EQUATION_OPTIONS)}.")
            return None
        words = self._read_sites("sites")
        excluded = self._read_excluded()
        value = self._read_value(words)
        where = self._read_scalar("where", words, module=True)
        penalty = self._read_penalty(words)
        grad = self._read_grad(words)
        init = self._read_init(words)
        keep = self._read_keep()
        self._check_penalty_alone()
        if value is None:
            return None
        with self.found.at(self.place):
            check_init_names(init, value)
        where = None if where is not None and where.text == "True" else where
        return Equation(words.patterns, value, where, excluded, init, grad, penalty, keep, self.place)

    def read_tie(self) -> Tie | None:
        check_options("A tie", self.fields, TIE_OPTIONS, self.found, self.place)
        words = self._read_sites("tie")
        excluded = self._read_excluded()
        grad = self._read_grad(words)
        init = self._read_init(words)
        name = self._read_name()
        for key in init:
            if key not in ("", name):
                self.found.add(
                    self.place, "80", f"`init` names `{key}`, and a tie has one shared parameter. Write a text."
                )
        return Tie(words.patterns, name, excluded, init, grad, self.place)

    def _read_sites(self, key: str) -> WordCheck:
        tree = self.fields.find(key)
        patterns: tuple[Pattern, ...] = ()
        if tree is not None:
            patterns = read_patterns(tree, key, self.found, self._place_of(tree))
        words = WordCheck(patterns, self.let)
        with self._at(key):
            words.check_holes()
        return words

    def _read_excluded(self) -> tuple[Pattern, ...]:
        tree = self.fields.find("except")
        return () if tree is None else read_patterns(tree, "except", self.found, self._place_of(tree))

    def _read_value(self, words: WordCheck) -> Value | None:
        tree = self.fields.find("equals")
        with self._at("equals"):
            if isinstance(tree, Leaf) and isinstance(tree.value, (int, float)) and not isinstance(tree.value, bool):
                return read_value(repr(tree.value), words.words)
            if tree is not None:
                value = read_value(read_text(tree, "equals"), words.words)
                words.check_value(value)
                return value
        return None

    def _read_scalar(self, key: str, words: WordCheck, *, module: bool = False) -> Scalar | None:
        tree = self.fields.find(key)
        with self._at(key):
            if tree is not None:
                scalar = read_scalar_field(tree, key)
                words.check_scalar(scalar, module=module)
                return scalar
        return None

    def _read_penalty(self, words: WordCheck) -> Scalar | None:
        tree = self.fields.find("penalty")
        if isinstance(tree, Leaf) and (
            not isinstance(tree.value, (int, float, str)) or isinstance(tree.value, bool) or _is_negative(tree.value)
        ):
            self.found.add(self._place_of(tree), "84", f"`penalty` is a number of 0 or more, not {show(tree)}.")
            return None
        return self._read_scalar("penalty", words)

    def _read_grad(self, words: WordCheck) -> Grad:
        tree = self.fields.find("grad")
        with self._at("grad"):
            match tree:
                case None:
                    pass
                case Leaf(value=("sum" | "mean" | "owner" | "stop") as kind):
                    return Grad(kind)
                case Fields(fields=(Field(key="scale", value=inside),)):
                    scale = read_scalar_field(inside, "scale")
                    words.check_scalar(scale)
                    return Grad("scale", scale)
                case _:
                    written = tree.written if isinstance(tree, Leaf) else _list_keys(tree)
                    raise Mistake(
                        "83", f"Unknown grad `{written}`. Known: sum, mean, owner, stop, {{scale: ‹number›}}."
                    )
        return Grad()

    def _read_init(self, words: WordCheck) -> dict[str, Init]:
        tree = self.fields.find("init")
        given = tree.fields if isinstance(tree, Fields) else ()
        trees = {field.key: field.value for field in given} if isinstance(tree, Fields) else {"": tree}
        inits: dict[str, Init] = {}
        for name, part in trees.items():
            with self.found.at(self._place_of(part)):
                if part is not None:
                    inits[name] = read_init(read_text(part, "init"))
                    words.check_names(site_captures(inits[name]))
        return inits

    def _read_keep(self) -> bool:
        tree = self.fields.find("keep")
        with self._at("keep"):
            return tree is not None and read_flag(tree, "keep")
        return False

    def _read_name(self) -> str | None:
        tree = self.fields.find("name")
        with self._at("name"):
            if tree is not None:
                name = read_text(tree, "name")
                check_name(name)
                if name in FUNCTIONS:
                    raise Mistake("42", f"`{name}` is a function. Give the shared parameter another name.")
                if name in self.let:
                    raise Mistake("53", f"`{name}` is a name of let and cannot also name a shared parameter.")
                return name
        return None

    def _check_penalty_alone(self) -> None:
        if self.fields.find("penalty") is None:
            return
        for key in ("init", "grad", "keep"):
            if self.fields.find(key) is not None:
                self.found.add(self.place, "85", f"`{key}` does not go with `penalty`: the equation binds nothing.")


def _is_negative(value: float | str) -> bool:
    return not isinstance(value, str) and value < 0


def _list_keys(tree: Tree) -> str:
    if isinstance(tree, Fields):
        return "{" + ", ".join(field.key for field in tree.fields) + "}"
    return describe_value(None) if isinstance(tree, Leaf) else "a list"
