"""What a scalar is evaluated with: the words of one site, and the places of its captures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias, Union, runtime_checkable

ScalarValue: TypeAlias = Union[bool, int, float, str, "list[ScalarValue]", "dict[str, ScalarValue]"]


class Scope(Protocol):
    """What a scalar is evaluated with: the words of a site and the places of its captures."""

    @property
    def words(self) -> Mapping[str, ScalarValue]:
        """Captures, names of `let`, sizes, `site` and, in `where`, `module`."""
        ...

    def position(self, name: str) -> int:
        """The rank of the capture's value among the equation's sites with the same FQN up to the hole."""
        ...

    def count(self, name: str) -> int:
        """How many values the capture takes there."""
        ...


@runtime_checkable
class PlacedScope(Protocol):
    """A scope that can also say where it counted; it makes error 56 say `under `layers.``."""

    def prefix(self, name: str) -> str:
        """The FQN up to the capture's hole."""
        ...
