"""The option `weights` of an average in, one word, numbers by member or a mixing matrix out, or the `Mistake` in it."""

from __future__ import annotations

import math

from lightning_tying.spec.fields import show
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nodes import SyncWeights
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree

_CLOSE = 1e-6  # how near to 1 the numbers of a row of the mixing matrix must add up


def read_weights(tree: Tree) -> SyncWeights:
    """Read weights: `uniform`, `samples`, a number for each member (as a mapping or a list), or a matrix.

    Raises:
        Mistake: 93.
    """
    match tree:
        case Leaf(value=("uniform" | "samples") as word):
            return word
        case Fields(fields=fields) if fields:
            weights = {field.key: _read_number(field.value) for field in fields}
            _check_sum(sum(weights.values()))
            return weights
        case Items(items=items) if items and all(isinstance(item, Items) for item in items):
            return _read_matrix([_read_row(item) for item in items])
        case Items() if tree.items:
            row = _read_row(tree)
            _check_sum(sum(row))
            return row
        case _:
            text = "`weights` is uniform, samples, a number for each member, or a matrix (a list of rows)"
            raise Mistake("93", f"{text}, not {show(tree)}.")


def _read_row(tree: Tree) -> tuple[float, ...]:
    return tuple([_read_number(item) for item in tree.items]) if isinstance(tree, Items) else ()


def _read_number(tree: Tree) -> float:
    value = tree.value if isinstance(tree, Leaf) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise Mistake("93", f"A weight is a number of 0 or more, not {show(tree)}.")
    return float(value)


def _check_sum(total: float) -> None:
    if not total > 0:
        raise Mistake("93", "All weights are 0. Give one member at least a weight above 0.")


def _read_matrix(rows: list[tuple[float, ...]]) -> SyncWeights:
    for number, row in enumerate(rows):
        if len(row) != len(rows):
            text = f"The mixing matrix has {len(rows)} rows, and row {number} has {len(row)} numbers."
            raise Mistake("93", f"{text} It needs a row and a column for each member.")
        if abs(sum(row) - 1) > _CLOSE:
            text = f"Row {number} of the mixing matrix adds up to {sum(row):g}, not 1."
            raise Mistake("93", f"{text} Each row says what share of every member one member takes.")
    return tuple(rows)
