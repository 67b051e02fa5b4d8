"""What sites that are alike read: one tree of nodes for all of them, in which places stand for shared parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lightning_tying.algebra.expression import (
    Call,
    Constant,
    Expression,
    MatrixProduct,
    Own,
    ParameterName,
    Product,
    Read,
    Shape,
    Sum,
)
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.nodes import Init


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of the parameter at one place, whatever its name is.

    Args:
        init: the default of the function that it is an argument of, or that brings it; None: `first`.
        call: the node that brings it; None for one that the value names.
        own: as the transform calls what it brings.
        sliced: whether its slices along the first dimension are drawn one by one.
    """

    init: Init | None = None
    call: int | None = None
    own: str = ""
    sliced: bool = False


@dataclass(frozen=True, slots=True)
class TemplateNode:
    """One node; its children have greater numbers.

    Args:
        expression: the node without shapes; for a name, a parameter called by its place.
        text: as it was written.
        children: their numbers, from left to right.
        places: of the parameter that it reads, or of those that it brings.
        transform: of a call.
        keyed: whether the call makes a fixed map from a key.
    """

    expression: Expression
    text: str
    children: tuple[int, ...] = ()
    places: tuple[int, ...] = ()
    transform: Transform | None = None
    keyed: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """A value at sites that differ only in the names of what they read.

    Args:
        nodes: the value first, then what it is made of, from left to right.
        places: one for each parameter, in the order of the slots.
        shape: of the sites.
        functions: for each node that is a call, its function numbered in the value: `low_rank2`.
    """

    nodes: tuple[TemplateNode, ...]
    places: tuple[Place, ...]
    shape: Shape
    functions: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one derived site reads, before shapes are known.

    Args:
        template: its value.
        parameters: one for each place of the template.
        keys: of the fixed maps, one for each node that is keyed.
    """

    template: Template
    parameters: tuple[ParameterName, ...]
    keys: tuple[str, ...] = ()

    def reads_alike(self, other: object) -> bool:
        """Whether both are the same value."""
        return isinstance(other, Reading) and write_expression(self) == write_expression(other)

    def name_node(self, number: int) -> str:
        """What a message calls a node: the name of a parameter, or the text."""
        node = self.template.nodes[number]
        return str(self.parameters[node.places[0]]) if isinstance(node.expression, Read) else node.text


Refine = Callable[[int, Call], Call]


def write_expression(
    reading: Reading,
    shapes: Sequence[Shape] | None = None,
    places: Sequence[Shape] | None = None,
    refine: Refine | None = None,
    start: int = 0,
) -> Expression:
    """The expression of one site.

    Args:
        reading: what it reads.
        shapes: of all nodes; none before they are known.
        places: of all parameters.
        refine: adds to a call what only the whole graph knows.
        start: the node to begin with.
    """
    return _Writer(reading, shapes, places, refine).write(start)


@dataclass(frozen=True, slots=True)
class _Writer:
    reading: Reading
    shapes: Sequence[Shape] | None
    places: Sequence[Shape] | None
    refine: Refine | None

    def write(self, number: int) -> Expression:
        node = self.reading.template.nodes[number]
        shape = self.shapes[number] if self.shapes is not None else ()
        expression = node.expression
        if isinstance(expression, Read):
            return Read(shape, self.reading.parameters[node.places[0]])
        if isinstance(expression, Constant):
            return Constant(shape, expression.number)
        below = tuple([self.write(child) for child in node.children])
        if isinstance(expression, Sum):
            return Sum(shape, below, expression.signs)
        if isinstance(expression, Product):
            return Product(shape, below)
        if isinstance(expression, MatrixProduct):
            return MatrixProduct(shape, below[0], below[1])
        return self._write_call(number, node, shape, below)

    def _write_call(self, number: int, node: TemplateNode, shape: Shape, below: tuple[Expression, ...]) -> Expression:
        if not isinstance(node.expression, Call):
            return replace(node.expression, shape=shape)
        template, names = self.reading.template, self.reading.parameters
        own = tuple([Own(template.places[i].own, names[i], self.places[i] if self.places else ()) for i in node.places])
        call = Call(shape, node.expression.function, below, node.expression.arguments, own, self._find_key(number))
        return self.refine(number, call) if self.refine is not None else call

    def _find_key(self, number: int) -> str:
        keyed = [i for i, node in enumerate(self.reading.template.nodes) if node.keyed]
        return self.reading.keys[keyed.index(number)] if number in keyed else ""
