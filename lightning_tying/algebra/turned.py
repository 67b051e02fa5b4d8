"""A value in; the table in `rows(vocab, …) @ P` and the matrix beside it out, where it is of that form."""

from __future__ import annotations

from lightning_tying.algebra.expression import Call, Expression, MatrixProduct, ParameterName, Read


def find_turned(expression: Expression, name: ParameterName) -> tuple[Expression, ParameterName] | None:
    """The side of `rows(vocab, …) @ P` that reads the table, and the matrix; None for any other value."""
    if not isinstance(expression, MatrixProduct) or not isinstance(expression.right, Read):
        return None
    left = expression.left
    table = left.operands[0] if isinstance(left, Call) and left.function == "rows" else left
    reads = isinstance(table, Read) and table.parameter == name and find_arguments(left).get("block", 1) == 1
    return (left, expression.right.parameter) if reads else None


def find_arguments(expression: Expression) -> dict[str, object]:
    """The arguments of a call; nothing for anything else."""
    return dict(expression.arguments) if isinstance(expression, Call) else {}
