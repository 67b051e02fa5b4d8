"""What one site reads, resolved: a tree of frozen nodes without tensors, words or captures; each knows its shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, TypeAlias, Union, final

from lightning_tying.algebra.maps.member_paths import split_member

Shape: TypeAlias = tuple[int, ...]


class ParameterName(NamedTuple):
    """A shared parameter: a family and an index, shown as `block[q_proj, 2]`, `W`, `low_rank.A[layers.0.weight]`.

    A tuple, since names are the keys of almost every mapping here, and a tuple is hashed without a call into Python.
    """

    family: str
    index: tuple[int | str, ...] = ()  # pyright: ignore[reportIncompatibleMethodOverride]  # of tuple, asked for by nobody

    def __str__(self) -> str:
        if not self.index:
            return self.family
        return f"{self.family}[{', '.join(str(place) for place in self.index)}]"


@dataclass(frozen=True, slots=True)
class FileMap:
    """A map that was read from a file; the content stays with the plan, so that the file is not needed again.

    Args:
        path: as written, captures replaced.
        sha256: of the file, hexadecimal.
        shape: of the map: one entry for each cell, or row, of the value.
        count: how many values the map can name: the file's `rows`, else its largest entry + 1.
        content: the entries as little-endian int64 in row-major order.
        digest: of the tokenizer whose ids a member of a row map numbers; empty where the file does not say.
    """

    path: str
    sha256: str
    shape: Shape
    count: int
    content: bytes
    digest: str = ""

    @property
    def member(self) -> str | None:
        """The member of a row-map file, `de` of `rows.safetensors#de`; None for a file that is one map."""
        return split_member(self.path)[1]


@dataclass(frozen=True, slots=True)
class ScalarMap:
    """A map that is a scalar of the coordinates (`i0`, `i1`, …).

    Args:
        text: canonical, as `ast.unparse` writes it.
        words: what the other words in it are at this site (numbers and texts of `let`, captures, sizes), by name.
    """

    text: str
    words: tuple[tuple[str, int | float | str], ...] = ()


IndexMap: TypeAlias = FileMap | ScalarMap
Argument: TypeAlias = Union[bool, int, float, str, IndexMap, "tuple[Argument, ...]", None]


@dataclass(frozen=True)
class Expression:
    """What a site reads. Its parameters and slots are found once, since every part of planning and tying asks for them.

    Args:
        shape: of the value; `()` until shapes have been inferred (and for numbers).
    """

    shape: Shape

    @property
    def children(self) -> tuple[Expression, ...]:
        """The expressions that this one is made of, from left to right."""
        return ()

    def walk(self) -> Iterator[Expression]:
        """This expression and all below it, from left to right as written (a node comes before its children)."""
        waiting: list[Expression] = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    @cached_property
    def parameters(self) -> tuple[ParameterName, ...]:
        """Every shared parameter that is read, each once: named ones and those that functions bring, as written.

        Their order is the order of the slots of the site.
        """
        names: dict[ParameterName, None] = {}
        for node in self.walk():
            if isinstance(node, Read):
                names[node.parameter] = None
            elif isinstance(node, Call):
                names.update(dict.fromkeys(own.parameter for own in node.own))
        return tuple(names)

    @cached_property
    def slots(self) -> tuple[SlotName, ...]:
        """A slot for each parameter, in their order; names are unique."""
        taken = {"training"}  # an attribute of every module that is set as it trains
        slots: list[SlotName] = []
        for parameter in self.parameters:
            stem = parameter.family.replace(".", "_")
            name, number = stem, 1
            while name in taken:
                number += 1
                name = f"{stem}_{number}"
            taken.add(name)
            slots.append(SlotName(name, parameter))
        return tuple(slots)


@final
@dataclass(frozen=True)
class Read(Expression):
    """A shared parameter as it is."""

    parameter: ParameterName


@final
@dataclass(frozen=True)
class Constant(Expression):
    """A number; it is broadcast to whatever it stands beside."""

    number: int | float


@final
@dataclass(frozen=True)
class Sum(Expression):
    """`a + b - c`: the terms, with a sign for each (1 or -1). `-a` is a sum of one term."""

    terms: tuple[Expression, ...]
    signs: tuple[int, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.terms


@final
@dataclass(frozen=True)
class Product(Expression):
    """`a * b * c` cell by cell; `a / number` is a product with the constant `1 / number`."""

    factors: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.factors


@final
@dataclass(frozen=True)
class MatrixProduct(Expression):
    """`a @ b`."""

    left: Expression
    right: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Own:
    """A parameter that a call brings.

    Args:
        name: as its transform calls it: `A`.
        parameter: its full name: `low_rank.A[q, 3]`, `low_rank2.A[layers.0.weight]`.
        shape: its shape; `()` until shapes have been inferred.
    """

    name: str
    parameter: ParameterName
    shape: Shape = ()


@final
@dataclass(frozen=True)
class Call(Expression):
    """A function of the catalogue, or of the user's own, with everything that its transform is made with.

    Args:
        function: its name, or its import path.
        operands: the arguments that are tensors, in order.
        arguments: all others by their name, as written or, where the function has a default, without it left out.
        own: what it brings, in the transform's order.
        key: of its fixed map: the index joined by `/`, or the site's FQN relative to the spec's root.
    """

    function: str
    operands: tuple[Expression, ...]
    arguments: tuple[tuple[str, Argument], ...] = ()
    own: tuple[Own, ...] = ()
    key: str = ""

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.operands


def with_children(expression: Expression, children: tuple[Expression, ...]) -> Expression:
    """The same expression over others in the place of its `children`; one without any stays as it is."""
    match expression:
        case Sum():
            return replace(expression, terms=children)
        case Product():
            return replace(expression, factors=children)
        case MatrixProduct():
            return replace(expression, left=children[0], right=children[1])
        case Call():
            return replace(expression, operands=children)
        case _:
            return expression


@dataclass(frozen=True, slots=True)
class SlotName:
    """Where a site's parametrization holds a shared parameter: an attribute of its module.

    Args:
        name: an identifier: `W`, `W_2`, `low_rank_A`.
        parameter: what it holds.
    """

    name: str
    parameter: ParameterName


def name_slots(expression: Expression) -> tuple[SlotName, ...]:
    """A slot for each parameter of an expression, in the order of `expression.parameters`; names are unique."""
    return expression.slots


def slot_place(site: str, slot: str) -> str:
    """The FQN of a slot: `fc.parametrizations.weight.0.T` for `T` at the site `fc.weight`."""
    module, _, tensor = site.rpartition(".")
    return f"{module}.parametrizations.{tensor}.0.{slot}" if module else f"parametrizations.{tensor}.0.{slot}"
