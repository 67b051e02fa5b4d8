"""Shapes that do not go together in, the mistakes that say so out (errors 60 to 62)."""

from __future__ import annotations

import ast

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.algebra.partial_shapes import Partial, ShapeClash
from lightning_tying.graph.reading.templates import Reading
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.schema import Equation, Tie
from lightning_tying.spec.values import Value


def write_shape(shape: Partial) -> str:
    """`[64, _]`; an open size is `_`."""
    return "[" + ", ".join("_" if size is None else str(size) for size in shape or ()) + "]"


def explain_matrices(reading: Reading, number: int, site: str, left: Partial, right: Partial) -> Mistake:
    """Error 62: the inner sizes of `a @ b` differ."""
    text = reading.template.nodes[number].text
    inner = f"{left[1] if left else '_'} is not {right[0] if right else '_'}"
    return Mistake("62", f"`{text}` at {site}: {write_shape(left)} by {write_shape(right)}; {inner}.")


def needs_matrices(reading: Reading, numbers: tuple[int, int], site: str, found: Partial) -> Mistake:
    """Error 62: the value or an operand of `@`, the second number, is no matrix."""
    text = reading.template.nodes[numbers[0]].text
    what = site if numbers[1] == 0 else f"`{reading.name_node(numbers[1])}`"
    return Mistake("62", f"`{text}` at {site}: {what} is {write_shape(found)}, and `@` takes and gives matrices.")


def explain_operands(
    reading: Reading, children: tuple[int, int], shapes: tuple[Partial, Partial], number: int, site: str
) -> Mistake:
    """Error 60: operands of `+`, `-` or `*` differ."""
    pairs = zip(children, shapes, strict=True)
    named = [f"`{reading.name_node(child)}` is {write_shape(shape)}" for child, shape in pairs]
    text = reading.template.nodes[number].text
    return Mistake("60", f"`{text}` at {site}: {named[0]} and {named[1]}. Operands of +, - and * have equal shapes.")


def explain_argument(reading: Reading, numbers: tuple[int, int], shapes: tuple[Partial, Partial], site: str) -> Mistake:
    """Error 60: a part, the first number, has another shape than what stands around it needs."""
    part, around = (reading.template.nodes[number] for number in numbers)
    known, needed = (write_shape(shape) for shape in shapes)
    if numbers == (0, 0):
        return Mistake("60", f"`{part.text}` is {needed}, and {site} is {known}.")
    return Mistake("60", f"`{part.text}` is {known}, and `{around.text}` at {site} needs {needed}.")


def explain_call(reading: Reading, number: int, site: str, clash: ShapeClash) -> Mistake:
    """Error 60: the arguments of a function do not go together."""
    text = reading.template.nodes[number].text
    return Mistake("60", f"`{text}` at {site}: {write_shape(clash.one)} and {write_shape(clash.other)} differ.")


def explain_unknown(name: str, shape: Partial) -> str:
    """Error 61: nothing says how large a parameter is."""
    sizes = "‹size›" if shape is None else ", ".join("‹size›" if size is None else "_" for size in shape)
    return f"Nothing says how large `{name}` is. Write parameters: {{{name}: {{shape: [{sizes}]}}}}."


def explain_open_part(reading: Reading, number: int, site: str) -> str:
    """Error 61 of a part of a value whose parameters are known."""
    return f"Nothing says how large `{reading.template.nodes[number].text}` is at {site}. Write reshape(…) around it."


def advise_index(name: ParameterName, entry: Equation | Tie) -> str:
    """A capture that tells the sites apart, where the entry has one that the index leaves out.

    Args:
        name: of the parameter that has two shapes.
        entry: that reads it in the second of them.
    """
    found = _find_index(name.family, entry.value) if isinstance(entry, Equation) else None
    if found is None:
        return "Give one another name."
    head, index = found
    used = {word for scalar in index for word in scalar.words}
    unused = [capture for capture in entry.sites[0].captures if capture not in used]
    if not unused:
        return "Give one another name."
    return f"Add a capture that tells them apart: {head}[{', '.join((*(scalar.text for scalar in index), *unused))}]."


def _find_index(family: str, value: Value) -> tuple[str, tuple[Scalar, ...]] | None:
    """What stands before the index of a name, or of the call that brings it, and the index."""
    for ref in value.refs():
        if ref.name == family:
            return ref.name, ref.index
    for call in value.calls():
        node = ast.parse(call.text, mode="eval").body
        if isinstance(node, ast.Subscript) and call.function.rpartition(".")[2] == family.partition(".")[0]:
            return ast.unparse(node.value), call.index
    return None
