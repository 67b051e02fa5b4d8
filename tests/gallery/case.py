"""What a reference is: a scheme on a small module tree, and each site's value written out from the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Shapes = Mapping[str, list[int]]
Values = dict[str, Tensor]


class Shared(Mapping[str, Tensor]):
    """The shared parameters by their full names; it remembers which were read."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@dataclass(frozen=True)
class Case:
    """One scheme on one small tree.

    Args:
        shapes: of every site of the tree.
        values: the value of each site that the spec binds, from the shared parameters.
        let: what takes the place of the `let` of the scheme's file.
        maps: files that take the place of `maps/‹name›.json`, by name; one with `members` is a row map,
            `maps/‹name›.safetensors`.
        frozen: the families that are not trained.
    """

    shapes: Shapes
    values: Callable[[Shared], Values]
    let: Mapping[str, Any] = field(default_factory=dict)
    maps: Mapping[str, Any] = field(default_factory=dict)
    frozen: frozenset[str] = frozenset()


Reference = Callable[[int], Case]


def scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """The same value; the gradient is multiplied."""
    return factor * tensor + (1 - factor) * tensor.detach()


def select(shapes: Shapes, *parts: str) -> list[str]:
    """The sites whose names hold all of `parts`."""
    return [site for site in shapes if all(part in site for part in parts)]


def split_layer(site: str, prefix: str = "layers.") -> tuple[int, str]:
    """The number and the rest: 3 and `attn.q.weight` of `encoder.layers.3.attn.q.weight`."""
    number, _, rest = site.partition(prefix)[2].partition(".")
    return int(number), rest


def outer(left: Tensor, right: Tensor) -> Tensor:
    return left[:, None] * right[None, :]


def top_softmax(logits: Tensor, keep: int) -> Tensor:
    """Softmax over the `keep` largest of the last dimension, 0 elsewhere; written with exp, not with torch.softmax."""
    kept = torch.zeros_like(logits, dtype=torch.bool)
    kept.scatter_(-1, logits.topk(keep, dim=-1).indices, True)
    powers = logits.exp() * kept
    return powers / powers.sum(-1, keepdim=True)
