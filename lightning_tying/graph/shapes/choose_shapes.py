"""What shape inference leaves open in, chosen: equal shares of a `concat`, then the least that any use needs (5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.algebra.partial_shapes import Partial, is_whole, meet
from lightning_tying.graph.shapes.infer_shapes import Chosen, Inference, Reader
from lightning_tying.graph.shapes.local_shapes import LocalShapes, PlaceClash, infer_locally
from lightning_tying.spec.mistakes import Mistake


def infer_all(inference: Inference) -> None:
    """Infer until nothing new follows, then choose, and again; then tell the mistakes of what is known."""
    inference.spread(inference.readers)
    while _divide_all(inference) or _take_least(inference):
        pass
    inference.finish()


def _divide_all(inference: Inference) -> bool:
    """Let each function choose among what is open, one after the other; whether one did."""
    divided = False
    for reader in inference.active:
        if all(map(is_whole, inference.find(reader).nodes)):
            continue
        for number in range(len(reader.reading.template.nodes) - 1, -1, -1):
            divided = (not reader.refused and _divide(inference, reader, number)) or divided
    return divided


def _divide(inference: Inference, reader: Reader, number: int) -> bool:
    node = reader.reading.template.nodes[number]
    if node.transform is None:
        return False
    shapes = inference.find_call(reader, number)
    try:
        divided = node.transform.divide(shapes, reader.site)
    except Mistake as mistake:
        inference.refuse(reader, mistake.code, mistake.text)
        return True
    pairs = zip(node.children, shapes.operands, divided.operands, strict=True)
    return _choose(inference, reader, tuple((child, after) for child, before, after in pairs if after != before))


def _choose(inference: Inference, reader: Reader, more: Chosen) -> bool:
    """Keep what was chosen for nodes of one value; whether there was anything."""
    if more:
        reader.chosen = _join(reader.chosen, more)
        inference.spread([reader])
    return bool(more)


def _take_least(inference: Inference) -> bool:
    """Open sizes that functions only limit become the largest that any use needs; whether there was one."""
    needed: dict[ParameterName, Partial] = {}
    bounds = [(reader, bound) for reader in inference.active for bound in _find_bounds(inference, reader)]
    for reader, bound in bounds:
        found = _try(inference, reader, bound)
        for name, shape in zip(reader.reading.parameters, found.places if found is not None else (), strict=False):
            if shape != inference.shapes.get(name):
                needed[name] = _join_largest(needed.get(name), shape)
    for name, shape in needed.items():
        inference.learn(name, shape)
    kept = [
        _choose(inference, reader, (bound,))
        for reader, bound in bounds
        if not reader.refused and not is_whole(inference.find(reader).nodes[bound[0]])
    ]  # a part whose shape follows from no parameter keeps its least size itself
    return bool(needed) or any(kept)


def _find_bounds(inference: Inference, reader: Reader) -> Iterator[tuple[int, Partial]]:
    """Open arguments with the least sizes that their functions ask for."""
    if all(map(is_whole, inference.find(reader).nodes)):
        return
    for number, node in enumerate(reader.reading.template.nodes):
        if node.transform is None:
            continue
        shapes = inference.find_call(reader, number)
        least = node.transform.least(shapes, reader.site)
        for child, known, size in zip(node.children, shapes.operands, least, strict=True):
            bound = _fill(known, size)
            if bound != known:
                yield child, bound


def _try(inference: Inference, reader: Reader, bound: tuple[int, Partial]) -> LocalShapes | None:
    """What a bound says of the parameters; None where it does not go with the rest."""
    places = tuple([inference.shapes.get(name) for name in reader.reading.parameters])
    chosen: Mapping[int, Partial] = dict(_join(reader.chosen, (bound,)))
    try:
        return infer_locally(reader.reading, places, chosen, reader.site)
    except (PlaceClash, Mistake):
        return None


def _join(chosen: Chosen, more: Iterable[tuple[int, Partial]]) -> Chosen:
    joined = dict(chosen)
    for number, shape in more:
        joined[number] = meet(joined.get(number), shape)
    return tuple(sorted(joined.items()))


def _fill(known: Partial, least: Partial) -> Partial:
    """What is known, and the least size wherever nothing is."""
    if known is None or least is None:
        return least if known is None else known
    if len(known) != len(least):
        return known
    return tuple([bound if size is None else size for size, bound in zip(known, least, strict=True)])


def _join_largest(one: Partial, other: Partial) -> Partial:
    """Size by size the larger; of two that differ in their dimensions the first, so that the other is told."""
    if one is None or other is None:
        return other if one is None else one
    if len(one) != len(other):
        return one
    pairs = zip(one, other, strict=True)
    return tuple([max((size for size in sizes if size is not None), default=None) for sizes in pairs])
