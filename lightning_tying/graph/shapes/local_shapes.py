"""What is known of the parameters of one value in, what follows for all its nodes and parameters out (5.3)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lightning_tying.algebra.expression import Call, Constant, MatrixProduct, Read
from lightning_tying.algebra.partial_shapes import NUMBER, Partial, ShapeClash, Shapes, meet, replace_at
from lightning_tying.graph.reading.templates import Reading, TemplateNode
from lightning_tying.graph.shapes.shape_texts import (
    explain_argument,
    explain_call,
    explain_matrices,
    explain_operands,
    needs_matrices,
)
from lightning_tying.spec.mistakes import Mistake

MATRIX = 2


class PlaceClash(Exception):
    """A parameter is known to have one shape, and the value needs another."""

    def __init__(self, place: int, known: Partial, needed: Partial) -> None:
        super().__init__(place, known, needed)
        self.place = place
        self.known = known
        self.needed = needed


@dataclass(frozen=True, slots=True)
class LocalShapes:
    """What is known after all rules of one value have been used.

    Args:
        nodes: of each node.
        places: of each parameter.
    """

    nodes: tuple[Partial, ...]
    places: tuple[Partial, ...]


def infer_locally(
    reading: Reading, places: tuple[Partial, ...], chosen: Mapping[int, Partial], site: str
) -> LocalShapes:
    """Use the rules of a value until nothing new follows.

    Args:
        reading: the value at one site.
        places: what is known of its parameters.
        chosen: nodes whose shape was chosen because nothing followed.
        site: its FQN, for messages.

    Raises:
        PlaceClash: a parameter cannot have its shape.
        Mistake: 60, 62 to 64 and 66 to 70, shapes inside the value do not go together.
    """
    return _Rules(reading, places, chosen, site).run()


def call_shapes(reading: Reading, number: int, nodes: tuple[Partial, ...], places: tuple[Partial, ...]) -> Shapes:
    """What is known of the tensors of one call, with what messages call them."""
    node = reading.template.nodes[number]
    operands = tuple([nodes[child] for child in node.children])
    names = tuple([reading.name_node(child) for child in node.children])
    return Shapes(nodes[number], operands, tuple([places[place] for place in node.places]), names)


class _Rules:
    """The state of one inference."""

    def __init__(self, reading: Reading, places: tuple[Partial, ...], chosen: Mapping[int, Partial], site: str) -> None:
        self.reading = reading
        self.site = site
        self.places = list(places)
        self.parts = reading.template.nodes
        self.nodes: list[Partial] = [None] * len(self.parts)
        self.nodes[0] = reading.template.shape
        for number, shape in chosen.items():
            self.nodes[number] = meet(self.nodes[number], shape)

    def run(self) -> LocalShapes:
        before = None
        while before != (after := (tuple(self.nodes), tuple(self.places))):
            before = after
            for number in range(len(self.parts) - 1, -1, -1):
                self._use(number)
            for number in range(len(self.parts)):
                self._use(number)
        return LocalShapes(*after)

    def _use(self, number: int) -> None:
        node = self.parts[number]
        match node.expression:
            case Read():
                self._meet_place(node.places[0], number)
            case Constant():
                self.nodes[number] = NUMBER
            case MatrixProduct():
                self._use_matrices(number, node)
            case Call():
                self._use_call(number, node)
            case _:
                self._use_operands(number, node)

    def _meet_place(self, place: int, number: int) -> None:
        try:
            shape = meet(self.places[place], self.nodes[number])
        except ShapeClash as clash:
            raise PlaceClash(place, clash.one, clash.other) from None
        self.places[place] = self.nodes[number] = shape

    def _use_operands(self, number: int, node: TemplateNode) -> None:
        """Operands of `+`, `-` and `*` and the value have one shape, but numbers."""
        sized = [child for child in node.children if self.nodes[child] != NUMBER]
        if not sized:
            self._meet_node(number, NUMBER, number)
            return
        shape = self.nodes[number]
        for child in sized:
            try:
                shape = meet(shape, self.nodes[child])
            except ShapeClash as clash:
                self._refuse(child, clash.other, clash.one, number, sized)
        self.nodes[number] = shape
        for child in sized:
            self.nodes[child] = shape

    def _use_matrices(self, number: int, node: TemplateNode) -> None:
        for i in (number, *node.children):
            shape = self.nodes[i]
            if shape is not None and len(shape) != MATRIX:
                raise needs_matrices(self.reading, (number, i), self.site, shape)
        left, right, value = (self.nodes[i] for i in (*node.children, number))
        a, inner, _, b = *(left or (None, None)), *(right or (None, None))
        if inner is not None and right is not None and right[0] not in (None, inner):
            raise explain_matrices(self.reading, number, self.site, left, right)
        inner = right[0] if inner is None and right is not None else inner
        rows, columns = value or (None, None)
        self.nodes[node.children[0]] = meet(left, (rows if a is None else a, inner))
        self.nodes[node.children[1]] = meet(right, (inner, columns if b is None else b))
        product = (rows if a is None else a, columns if b is None else b)
        try:
            self.nodes[number] = meet(value, product)
        except ShapeClash:
            self._refuse_factor(node, number, (a, b), (rows, columns))

    def _refuse_factor(
        self, node: TemplateNode, number: int, found: tuple[int | None, ...], needed: tuple[int | None, ...]
    ) -> None:
        """The first factor whose outer size is not that of the value."""
        side = 0 if None not in (found[0], needed[0]) and found[0] != needed[0] else 1
        child = node.children[side]
        known = self.nodes[child] or (None, None)
        self._refuse(child, known, replace_at(known, side, needed[side]), number, [child])

    def _use_call(self, number: int, node: TemplateNode) -> None:
        if node.transform is None:
            return
        shapes = call_shapes(self.reading, number, tuple(self.nodes), tuple(self.places))
        try:
            found = node.transform.infer(shapes, self.site)
        except ShapeClash as clash:
            self._refuse_call(number, node, shapes, clash)
            return
        self._meet_node(number, found.value, number)
        for child, shape in zip(node.children, found.operands, strict=True):
            self._meet_node(child, shape, number)
        for place, shape in zip(node.places, found.own, strict=True):
            try:
                self.places[place] = meet(self.places[place], shape)
            except ShapeClash as clash:
                raise PlaceClash(place, clash.one, clash.other) from None

    def _meet_node(self, child: int, shape: Partial, number: int) -> None:
        try:
            self.nodes[child] = meet(self.nodes[child], shape)
        except ShapeClash as clash:
            self._refuse(child, clash.one, clash.other, number, [child])

    def _refuse_call(self, number: int, node: TemplateNode, shapes: Shapes, clash: ShapeClash) -> None:
        """Find the arguments without which the rules hold, and say what the first of them should be."""
        sides = range(len(shapes.operands))
        for freed in (*((side,) for side in sides), sides):
            wanted = self._infer_without(node, shapes, freed, range(0))
            for side in freed:
                if wanted is not None and _contradict(shapes.operands[side], wanted.operands[side]):
                    child = node.children[side]
                    self._refuse(child, shapes.operands[side], wanted.operands[side], number, [child])
        wanted = self._infer_without(node, shapes, range(0), range(len(shapes.own)))
        if wanted is not None:
            for place, known, needed in zip(node.places, shapes.own, wanted.own, strict=True):
                if _contradict(known, needed):
                    raise PlaceClash(place, known, needed)
        raise explain_call(self.reading, number, self.site, clash)

    def _infer_without(
        self, node: TemplateNode, shapes: Shapes, operands: Collection[int], own: Collection[int]
    ) -> Shapes | None:
        """What the rules say when nothing is known of some arguments; None where they contradict each other then."""
        known = tuple([None if i in operands else shape for i, shape in enumerate(shapes.operands)])
        brought = tuple([None if i in own else shape for i, shape in enumerate(shapes.own)])
        try:
            if node.transform is not None:
                return node.transform.infer(Shapes(shapes.value, known, brought, shapes.names), self.site)
        except (ShapeClash, Mistake):
            pass
        return None

    def _refuse(self, child: int, known: Partial, needed: Partial, number: int, sized: list[int]) -> None:
        """A parameter is told with where its shape comes from; another part with the value around it."""
        node = self.parts[child]
        if isinstance(node.expression, Read) and self.nodes[number] is not None:
            raise PlaceClash(node.places[0], known, needed)
        other = next((other for other in sized if _contradict(self.nodes[other], known)), None)
        if other is not None:
            shapes = (self.nodes[other], known)
            raise explain_operands(self.reading, (other, child), shapes, number, self.site)
        raise explain_argument(self.reading, (child, number), (known, needed), self.site)


def _contradict(known: Partial, needed: Partial) -> bool:
    try:
        meet(known, needed)
    except ShapeClash:
        return True
    return False
