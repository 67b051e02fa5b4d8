"""Values of sites in, saved for the backward pass as recipes out; unpacking one computes the value again.

Mechanism: hooks on saved tensors around the forward of a reader. A tensor that is saved there and lies in the memory
of a value is replaced by the recipe of that value and its size, stride and offset. Everything else is passed on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.runtime.autograd_state import after_backward, storage_key, top_pack


class Producer(Protocol):
    """What computes a value and knows the parameters that it reads; calling it runs the hooks of its module."""

    gathered: bool

    def __call__(self, base: bool = False) -> Tensor: ...
    def parameters_read(self) -> list[nn.Parameter]: ...
    def compute_with(self, parameters: Sequence[Tensor], base: bool) -> Tensor: ...


class Origin:
    """The parameters that a value was computed from, as they were then.

    Args:
        producer: of the value.
        name: of the tensor, for messages.
    """

    __slots__ = ("name", "parameters", "producer", "versions")

    def __init__(self, producer: Producer, name: str) -> None:
        self.producer = producer
        self.name = name
        self.parameters: list[nn.Parameter] = producer.parameters_read()
        self.versions = [_version(parameter) for parameter in self.parameters]

    def compute(self, base: bool) -> Tensor:
        """The value again, in the gradient mode of the caller.

        Raises:
            ApplyError: a shared parameter has been written to since.
        """
        self.check()
        now = self.producer.parameters_read()
        # Gathered parameters are other objects than their shards, and are there only while the producer is called.
        if self.producer.gathered or all(one is other for one, other in zip(now, self.parameters, strict=True)):
            return self.producer(base)  # called as a module: its hooks may gather parameters first (FSDP)
        return self.producer.compute_with(self.parameters, base)

    def check(self) -> None:
        """Compare the versions, as torch does for tensors that it saved itself; those of gathered ones tell nothing.

        Raises:
            ApplyError: a shared parameter has been written to since.
        """
        if self.producer.gathered:
            return
        for parameter, version in zip(self.parameters, self.versions, strict=True):
            if _version(parameter) != version:
                raise ApplyError(
                    f"A shared parameter of `{self.name}`, {list(parameter.shape)}, was changed in place between a "
                    "forward pass and its backward pass, so the gradients would be wrong. Call backward first."
                )


class Recipe:
    """How a value was computed, so that the backward pass can compute it again.

    Args:
        origin: what it was computed from.
        base: whether the value is without its `low_rank` terms.
        dtype: that the reader got it in.
    """

    __slots__ = ("base", "dtype", "origin")

    def __init__(self, origin: Origin, base: bool, dtype: torch.dtype) -> None:
        self.origin = origin
        self.base = base
        self.dtype = dtype

    def compute(self) -> Tensor:
        """The value again.

        Raises:
            ApplyError: a shared parameter has been written to since the forward pass.
        """
        latest = _LATEST.held
        if latest and latest[0] is self:
            self.origin.check()
            return cast(Tensor, latest[1])
        with torch.no_grad():
            value = self.origin.compute(self.base)
            value = value if value.dtype == self.dtype else value.to(self.dtype)
        # One node after another may ask for the same value: the time steps of a recurrent layer, the parts of a
        # fused weight. The latest is held until this backward pass has ended.
        if after_backward(latest.clear):
            latest[:] = (self, value)
        return value


class _Latest(threading.local):
    def __init__(self) -> None:
        self.held: list[Recipe | Tensor] = []


_LATEST = _Latest()


@dataclass(frozen=True, slots=True)
class _Again:
    """A saved tensor that is a part of a value."""

    recipe: Recipe
    size: torch.Size
    stride: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class _Kept:
    """A saved tensor as it is. With hooks torch no longer sees writes to it, so the version is compared here."""

    tensor: Tensor
    version: int


Packed: TypeAlias = _Again | _Kept


class Recorder:
    """The hooks of one forward pass of one reader.

    Autograd holds `pack` as long as the graph, so the table must be cleared when the forward has ended.
    """

    __slots__ = ("recipes",)

    def __init__(self) -> None:
        self.recipes: dict[int, Recipe] = {}

    def add(self, value: Tensor, recipe: Recipe) -> None:
        """A value that the caller keeps alive until the forward has ended: its memory is not given out again."""
        key = storage_key(value)
        if key is not None:
            self.recipes[key] = recipe

    def pack(self, tensor: Tensor) -> Packed:
        """What autograd saves in place of a tensor."""
        if self.recipes:
            key = storage_key(tensor)
            recipe = None if key is None else self.recipes.get(key)
            if recipe is not None:
                return _Again(recipe, tensor.size(), tensor.stride(), int(tensor.storage_offset()))
        # A result that saved itself would hold its own graph; detached it shares memory and version.
        return _Kept(tensor if tensor.is_leaf else tensor.detach(), _version(tensor))


def unpack(packed: Packed) -> Tensor:
    """The tensor that was saved.

    Raises:
        ApplyError: a shared parameter of a value has been written to since.
        RuntimeError: the tensor itself has been, as torch says it without hooks.
    """
    if isinstance(packed, _Again):
        return packed.recipe.compute().as_strided(packed.size, packed.stride, packed.offset)
    now = _version(packed.tensor)
    if now != packed.version:
        raise RuntimeError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: "
            f"{packed.tensor.type()} {list(packed.tensor.shape)} is at version {now}; expected version "
            f"{packed.version} instead."
        )
    return packed.tensor


def foreign_pack() -> object | None:
    """The pack function on top where it is not one of ours: activation checkpointing, `save_on_cpu`."""
    pack = top_pack()
    return None if isinstance(getattr(pack, "__self__", None), Recorder) else pack


def _version(tensor: Tensor) -> int:
    return -1 if tensor.is_inference() else tensor._version  # pyright: ignore[reportPrivateUsage]  # torch's only name for it
