"""The right side of an equation and its sites in, what each of them reads out (errors 41, 43 to 50, 55 to 57, 76)."""

from __future__ import annotations

from lightning_tying.algebra.expression import Argument, MatrixProduct, ParameterName, Product, Sum
from lightning_tying.algebra.registry import find_signature
from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.names import compile_index, compile_name
from lightning_tying.graph.matching.words import Evaluator
from lightning_tying.graph.reading.arguments import Surroundings, compile_arguments
from lightning_tying.graph.reading.compiled import (
    Builder,
    Compiled,
    CompiledCall,
    CompiledName,
    CompiledNumber,
    CompiledOperator,
    Lookup,
)
from lightning_tying.graph.reading.own_parameters import number_functions
from lightning_tying.graph.reading.templates import Reading, Template
from lightning_tying.spec import values as written
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import Scalar


class ValueReader:
    """Reads one value at the sites of its equation; sites that are alike share a template.

    Args:
        value: the right side.
        around: of the equation.

    Raises:
        Mistake: 41, 43, a function that cannot be found or takes fewer arguments.
    """

    def __init__(self, value: written.Value, around: Surroundings) -> None:
        self._around = around
        self._numbered = number_functions(value)
        self._root = self._compile(value)
        self._templates: dict[object, Template] = {}
        self._names: dict[ParameterName, ParameterName] = {}

    def read(self, match: Match) -> Reading:
        """What one site reads.

        Raises:
            Mistake: an index, a number, an argument or a map is refused there.
        """
        found = Lookup()
        self._root.look(match, found)
        places: dict[ParameterName, int] = {}
        pattern = tuple([places.setdefault(self._names.setdefault(name, name), len(places)) for name in found.names])
        payloads = tuple(found.payloads)
        key = (payloads, _kinds(payloads), pattern, match.site.meta.shape)
        template = self._templates.get(key)
        if template is None:
            template = self._templates[key] = self._build(found, pattern, match)
        return Reading(template, tuple(places), tuple(found.keys))

    def _build(self, found: Lookup, pattern: tuple[int, ...], match: Match) -> Template:
        builder = Builder(found.payloads, pattern)
        self._root.build(builder)
        nodes = tuple([node for node in builder.nodes if node is not None])
        places = tuple([builder.known[place] for place in range(len(builder.known))])
        return Template(nodes, places, match.site.meta.shape, builder.functions)

    def _compile(self, value: written.Value) -> Compiled:
        if isinstance(value, written.Ref):
            return CompiledName(value.text, compile_name(value, self._around.matches, self._around.let))
        if isinstance(value, written.Number):
            return self._compile_number(value.scalar)
        return self._compile_call(value) if isinstance(value, written.Call) else self._compile_operator(value)

    def _compile_operator(self, value: written.Value) -> CompiledOperator:
        operands = tuple(self._compile(child) for child in value.children)
        if isinstance(value, written.MatrixProduct):
            return CompiledOperator(value.text, MatrixProduct, operands)
        if isinstance(value, written.Quotient):
            return CompiledOperator(value.text, Product, (*operands, self._compile_number(value.divisor, below=True)))
        if isinstance(value, written.Product):
            return CompiledOperator(value.text, Product, operands)
        signs = value.signs if isinstance(value, written.Sum) else (-1,)
        return CompiledOperator(value.text, Sum, operands, signs)

    def _compile_number(self, scalar: Scalar, below: bool = False) -> Compiled:
        evaluate_at = Evaluator(scalar, self._around.let, self._around.matches).evaluate

        def number_at(match: Match) -> int | float | str | None:
            value = evaluate_at(match)
            return None if isinstance(value, (list, dict)) else value

        return CompiledNumber(scalar.text, number_at, below)

    def _compile_call(self, call: written.Call) -> Compiled:
        signature = find_signature(call.function)
        operands = call.children
        cores_at = None
        if call.function == "tt":
            core = operands[0]
            if not isinstance(core, written.Ref):
                raise Mistake("67", f"`{core.text}` is no name; tt takes the name of its cores: tt(G, …).")
            cores_at = compile_name(core, self._around.matches, self._around.let)
            operands = ()
        index = call.index
        return CompiledCall(
            text=call.text,
            function=call.function,
            numbered=self._numbered.get(id(call), call.function),
            arguments=tuple(compile_arguments(call, signature, self._around)),
            operands=tuple(self._compile(operand) for operand in operands),
            own=signature.brings,
            keyed=signature.fixed_map,
            index_at=compile_index(index, self._around.matches, self._around.let) if index else None,
            cores_at=cores_at,
        )


def _kinds(payload: Argument) -> object:
    """The types in a payload: `1`, `1.0` and `True` are equal, and not the same argument."""
    return tuple([_kinds(part) for part in payload]) if isinstance(payload, tuple) else payload.__class__
