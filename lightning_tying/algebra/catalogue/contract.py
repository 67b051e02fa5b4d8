"""`einsum`: tensors multiplied and summed by letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

from lightning_tying.algebra.partial_shapes import Partial, Shapes, meet, open_shape
from lightning_tying.algebra.primitives.contraction import split_formula
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Node
from lightning_tying.algebra.transform import Transform
from lightning_tying.spec.mistakes import Mistake


@final
class Contract(Transform):
    """`einsum('or,ri->oi', x, y, …, r=8)`.

    Args:
        formula: torch's letters, with `->` and without `…`.
        sizes: of letters that nothing else settles.
    """

    operands: ClassVar[tuple[str, ...]] = ("x", "y", "…")

    def __init__(self, formula: str, sizes: tuple[tuple[str, float], ...] = ()) -> None:
        self.formula = formula
        self.sizes = tuple((letter, _check_size(letter, size)) for letter, size in sizes)
        self._check_formula()

    def _check_formula(self) -> None:
        terms, output = split_formula(self.formula)
        letters = "".join(terms)
        plain = "->" in self.formula and all(x.isascii() and x.isalpha() for x in letters + output)
        if not plain or len(set(output)) < len(output) or not set(output) <= set(letters):
            example = "Write letters such as 'or,ri->oi'; each on the right once, and on the left too."
            raise Mistake("23", f"Cannot read `{self.formula}`. {example}")
        unused = [letter for letter, _ in self.sizes if letter not in letters]
        if unused:
            raise Mistake("44", f"einsum: the letter `{unused[0]}` is not in `{self.formula}`.")

    def infer(self, shapes: Shapes, site: str) -> Shapes:
        terms, output = split_formula(self.formula)
        if len(terms) != len(shapes.operands):
            given = len(shapes.operands)
            raise Mistake("43", f"`{self.formula}` is for {len(terms)} tensors; {given} {_is(given)} given.")
        operands = tuple(meet(shape, open_shape(len(term))) for term, shape in zip(terms, shapes.operands, strict=True))
        sizes = self._find_sizes(terms, operands, shapes, site)
        value = meet(shapes.value, open_shape(len(output))) or ()
        for letter, size in zip(output, value, strict=True):
            if size is not None:
                sizes.setdefault(letter, (size, "the value"))
        known = {letter: size for letter, (size, _) in sizes.items()}
        found = tuple(meet(shape, _shape(term, known)) for term, shape in zip(terms, operands, strict=True))
        return Shapes(meet(value, _shape(output, known)), found, shapes.own, shapes.names)

    def _find_sizes(
        self, terms: Sequence[str], operands: Sequence[Partial], shapes: Shapes, site: str
    ) -> dict[str, tuple[int, str]]:
        """The size of each letter, and where it is known from."""
        sizes = {letter: (size, "the formula's keywords") for letter, size in self.sizes}
        for place, (term, shape) in enumerate(zip(terms, operands, strict=True)):
            for letter, size in zip(term, shape or (), strict=True):
                if size is None:
                    continue
                before, where = sizes.setdefault(letter, (size, shapes.name(place)))
                if before != size:
                    text = f"einsum at {site}: {letter} is {before} in {where} and {size} in {shapes.name(place)}."
                    raise Mistake("69", text)
        return sizes

    def expand(self, operands: Sequence[Node], own: Sequence[Node], shapes: Shapes, key: str) -> Node:
        del own, shapes, key
        return Einsum(self.formula, operands)

    def operand_init(self, place: int) -> str:
        del place
        return "variance"


def _check_size(letter: str, size: float) -> int:
    if isinstance(size, int) and size > 0:
        return size
    raise Mistake("44", f"einsum: {letter} is {size}; a size is a whole number of 1 or more.")


def _shape(term: str, sizes: dict[str, int]) -> Partial:
    return tuple(sizes.get(letter) for letter in term)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"
