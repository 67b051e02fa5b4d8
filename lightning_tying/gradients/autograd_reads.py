"""What a backward pass starts from in, the places in autograd's graph where shared parameters are read out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from torch import Tensor
from torch.utils.hooks import RemovableHandle

Gradients: TypeAlias = "tuple[Tensor | None, ...]"

_CAST = "ToCopyBackward0"  # under autocast; with its cache on, one of them serves all reads of a parameter


class Node(Protocol):
    """A node of autograd's graph, as far as it is used here; torch has no type for it."""

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]: ...
    def register_hook(self, hook: Callable[[Gradients, Gradients], Gradients | None]) -> RemovableHandle: ...
    def register_prehook(self, hook: Callable[[Gradients], None]) -> RemovableHandle: ...


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """An edge of the graph that ends at a shared parameter.

    Args:
        node: that reads.
        index: of the edge among those of the node.
        leaf: the id of the tensor that is read.
        number: of the node, larger for one that was made later.
    """

    node: Node
    index: int
    leaf: int
    number: int


@dataclass(frozen=True, slots=True)
class Reads:
    """All of one backward pass.

    Args:
        edges: one for each read, in the order of the forward pass.
        ends: for each tensor that is read, by its id, the node to which all of its gradient comes.
    """

    edges: tuple[Read, ...]
    ends: dict[int, Node]


def find_reads(roots: Iterable[object], leaves: Collection[int]) -> Reads:
    """Walk from the roots to the leaves.

    Args:
        roots: tensors, or gradient edges.
        leaves: ids of the tensors to find.
    """
    stack = [node for root in roots if (node := _start(root)) is not None]
    seen: set[Node] = set(stack)  # holds them, so that torch gives the same object for the same node
    found: list[Read] = []
    ends: dict[int, Node] = {}
    casts: dict[Node, list[tuple[Node, int]]] = {}
    while stack:
        node = stack.pop()
        for index, (after, _) in enumerate(node.next_functions):
            if after is None:
                continue
            variable = getattr(after, "variable", None)
            if variable is None:
                if type(after).__name__ == _CAST:
                    casts.setdefault(after, []).append((node, index))
                if after not in seen:
                    seen.add(after)
                    stack.append(after)
            elif id(variable) in leaves:
                ends[id(variable)] = after
                found.append(Read(node, index, id(variable), number_of(node)))
    edges = [each for read in found for each in _before_cast(read, casts)]
    return Reads(tuple(sorted(edges, key=lambda read: (read.number, read.index))), ends)


def number_of(node: Node) -> int:
    """Which node of its thread it is."""
    return cast(int, cast(Any, node)._sequence_nr())


def _start(root: object) -> Node | None:
    if isinstance(root, Tensor):
        return cast("Node | None", root.grad_fn)
    return cast("Node | None", getattr(root, "node", None))


def _before_cast(read: Read, casts: dict[Node, list[tuple[Node, int]]]) -> list[Read]:
    """The reads of a cast that several of them share; the read itself otherwise."""
    readers = casts.get(read.node, [])
    if len(readers) < 2:
        return [read]
    return [Read(node, index, read.leaf, number_of(node)) for node, index in readers]
