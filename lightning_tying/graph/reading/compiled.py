"""A value compiled for the sites of one equation: each part is looked up at a site, then built into a template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lightning_tying.algebra.expression import (
    Argument,
    Call,
    Constant,
    Expression,
    MatrixProduct,
    Own,
    ParameterName,
    Product,
    Read,
    Sum,
)
from lightning_tying.algebra.registry import make_transform
from lightning_tying.algebra.transform import Transform
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.names import Index
from lightning_tying.graph.policies.default_inits import read_default
from lightning_tying.graph.reading.arguments import ArgumentAt, drop_defaults
from lightning_tying.graph.reading.templates import Place, TemplateNode
from lightning_tying.spec.mistakes import Mistake

NameAt = Callable[[Match], ParameterName]
IndexAt = Callable[[Match], Index]
UNKNOWN = Place()


@dataclass(slots=True)
class Lookup:
    """What a value is at one site, part by part from left to right.

    Args:
        names: of the shared parameters, each as often as it is read.
        payloads: numbers, and arguments of calls.
        keys: of fixed maps.
    """

    names: list[ParameterName] = field(default_factory=list[ParameterName])
    payloads: list[Argument] = field(default_factory=list[Argument])
    keys: list[str] = field(default_factory=list[str])


class Builder:
    """Takes the parts of a lookup in the same order again and makes nodes of them.

    Args:
        payloads: numbers, and arguments of calls.
        places: for each name in its order the place of its parameter.
    """

    def __init__(self, payloads: Sequence[Argument], places: Sequence[int]) -> None:
        self.nodes: list[TemplateNode | None] = []
        self.known: dict[int, Place] = {}
        self.functions: dict[int, str] = {}
        self._payloads = iter(payloads)
        self._places = iter(places)

    def open(self) -> int:
        """The number of a new node."""
        self.nodes.append(None)
        return len(self.nodes) - 1

    def take_payload(self) -> Argument:
        return next(self._payloads)

    def take_place(self, known: Place = UNKNOWN) -> int:
        """The place of the next name; what is known of it first is kept."""
        place = next(self._places)
        before = self.known.get(place)
        if before is None or (before.init is None and known.init is not None) or (known.sliced and not before.sliced):
            self.known[place] = known
        return place


class Compiled(Protocol):
    """A part of a value."""

    def look(self, match: Match, found: Lookup) -> None:
        """Add what this part is at a site."""
        ...

    def build(self, builder: Builder, known: Place = UNKNOWN) -> int:
        """Make its nodes and give the number of the first; `known` is for a name."""
        ...


@dataclass(frozen=True, slots=True)
class CompiledName:
    """A shared parameter."""

    text: str
    name_at: NameAt

    def look(self, match: Match, found: Lookup) -> None:
        found.names.append(self.name_at(match))

    def build(self, builder: Builder, known: Place = UNKNOWN) -> int:
        return build_read(builder, self.text, known)


@dataclass(frozen=True, slots=True)
class CompiledNumber:
    """A number; below a `/` its reciprocal."""

    text: str
    number_at: ArgumentAt
    below: bool = False

    def look(self, match: Match, found: Lookup) -> None:
        number = self.number_at(match)
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise Mistake("48", f"`{self.text}` is {number!r} at {match.fqn}, and a value is made of numbers.")
        if self.below and number == 0:
            raise Mistake("49", f"`{self.text}` is 0 at {match.fqn}, and nothing can be divided by it.")
        found.payloads.append(1 / number if self.below else number)

    def build(self, builder: Builder, known: Place = UNKNOWN) -> int:
        del known
        number = builder.take_payload()
        at = builder.open()
        builder.nodes[at] = TemplateNode(Constant((), number if isinstance(number, (int, float)) else 0), self.text)
        return at


@dataclass(frozen=True, slots=True)
class CompiledOperator:
    """A sum, a product or the product of two matrices: `signs` are those of a sum."""

    text: str
    kind: type[Sum] | type[Product] | type[MatrixProduct]
    children: tuple[Compiled, ...]
    signs: tuple[int, ...] = ()

    def look(self, match: Match, found: Lookup) -> None:
        for child in self.children:
            child.look(match, found)

    def build(self, builder: Builder, known: Place = UNKNOWN) -> int:
        del known
        at = builder.open()
        children = tuple([child.build(builder) for child in self.children])
        empty = Expression(())
        if self.kind is Sum:
            expression: Expression = Sum((), (), self.signs)
        else:
            expression = Product((), ()) if self.kind is Product else MatrixProduct((), empty, empty)
        builder.nodes[at] = TemplateNode(expression, self.text, children)
        return at


@dataclass(frozen=True, slots=True)
class CompiledCall:
    """A function with its arguments.

    Args:
        text: as written.
        function: its name or import path.
        numbered: in the value: `low_rank2`; what it brings is called by it.
        arguments: those that are no tensors.
        operands: those that are.
        own: names of what it brings.
        keyed: whether it makes a fixed map.
        index_at: what follows the call; None for nothing.
        cores_at: of `tt`, the index of its cores without their number, and their family.
    """

    text: str
    function: str
    numbered: str
    arguments: tuple[tuple[str, ArgumentAt], ...]
    operands: tuple[Compiled, ...]
    own: tuple[str, ...]
    keyed: bool
    index_at: IndexAt | None
    cores_at: NameAt | None = None

    def look(self, match: Match, found: Lookup) -> None:
        given = tuple([(name, argument(match)) for name, argument in self.arguments])
        found.payloads.append(given)
        index = (match.fqn,) if self.index_at is None else self.index_at(match)
        if self.keyed:
            found.keys.append("/".join(map(str, index)))
        for own in self.own:
            found.names.append(ParameterName(f"{self.numbered}.{own}", index))
        if self.cores_at is not None:
            cores = self.cores_at(match)
            found.names += [ParameterName(cores.family, (*cores.index, j)) for j in range(count_cores(given))]
        for operand in self.operands:
            operand.look(match, found)

    def build(self, builder: Builder, known: Place = UNKNOWN) -> int:
        del known
        given = builder.take_payload()
        arguments: tuple[tuple[str, Argument], ...] = given if isinstance(given, tuple) else ()  # pyright: ignore[reportAssignmentType] - `look` made pairs
        at = builder.open()
        cores = count_cores(arguments) if self.cores_at is not None else 0
        transform = self._make(arguments, cores)
        brought = zip(self.own, transform.brings, strict=True)
        places = tuple([builder.take_place(Place(read_default(one.init), at, own)) for own, one in brought])
        children = [build_read(builder, f"core {j}", name_operand(transform, j)) for j in range(cores)]
        children += [operand.build(builder, name_operand(transform, i)) for i, operand in enumerate(self.operands)]
        call = Call((), self.function, (), drop_defaults(self.function, arguments))
        builder.functions[at] = self.numbered
        builder.nodes[at] = TemplateNode(call, self.text, tuple(children), places, transform, self.keyed)
        return at

    def _make(self, arguments: tuple[tuple[str, Argument], ...], cores: int) -> Transform:
        """The transform; of `project` for any number of cells, which only the whole graph knows."""
        more: tuple[tuple[str, Argument], ...] = (("cells", 1),) if self.function == "project" else ()
        operands = (Read((), ParameterName("x")),) * (cores + len(self.operands))
        own = tuple([Own(name, ParameterName(name)) for name in self.own])
        return make_transform(Call((), self.function, operands, (*arguments, *more), own))


def build_read(builder: Builder, text: str, known: Place) -> int:
    """The node of a name."""
    at = builder.open()
    place = builder.take_place(known)
    builder.nodes[at] = TemplateNode(Read((), ParameterName(str(place))), text, places=(place,))
    return at


def name_operand(transform: Transform, place: int) -> Place:
    """What a function says of a parameter that is its argument."""
    return Place(read_default(transform.operand_init(place)), sliced=transform.sliced and place == 0)


def count_cores(arguments: tuple[tuple[str, Argument], ...]) -> int:
    """How many cores a tensor train has: as many as it has factors of the rows."""
    rows = dict(arguments).get("rows")
    if not isinstance(rows, tuple) or not rows:
        raise Mistake("67", f"tt: rows is {rows!r}, and it is a list of whole numbers, such as [10, 10].")
    return len(rows)
