"""What the words of one equation stand for at its sites, and scalars evaluated there, once for equal words."""

from __future__ import annotations

import ast
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from lightning_tying.graph.matching.match import Match
from lightning_tying.graph.matching.positions import Positions, find_prefix
from lightning_tying.spec.evaluation import ScalarValue
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.names import SIZES
from lightning_tying.spec.scalars import Scalar, evaluate
from lightning_tying.spec.schema import LetValue

Key = Hashable
Result = TypeVar("Result")


class SiteScope:
    """The words of one site; implements the scope that scalars are evaluated with.

    Args:
        match: the site, with its captures.
        let: the spec's names of numbers, texts, lists and mappings.
        positions: of the equation's sites.
        module: whether the word `module` is known, as it is in `where`.
    """

    def __init__(self, match: Match, let: Mapping[str, LetValue], positions: Positions, module: bool = False) -> None:
        meta = match.site.meta
        words: dict[str, ScalarValue] = {**let}
        words |= {f"d{place}": size for place, size in enumerate(meta.shape)}
        words |= {"ndim": len(meta.shape), "numel": meta.numel, "site": match.fqn}
        if module:
            words["module"] = match.site.module
        words |= match.captures
        self.words: Final[Mapping[str, ScalarValue]] = words
        self._match = match
        self._positions = positions

    def position(self, name: str) -> int:
        """The rank of the capture's value among the equation's sites that are alike up to the hole."""
        self._check(name)
        return self._positions.position(name, self._match)

    def count(self, name: str) -> int:
        """How many values the capture takes there."""
        self._check(name)
        return self._positions.count(name, self._match)

    def prefix(self, name: str) -> str:
        """The FQN up to the capture's hole."""
        return find_prefix(self._match, name)

    def _check(self, name: str) -> None:
        if name not in self._match.captures:
            known = ", ".join(self._match.captures) or "none"
            raise Mistake("55", f"`{name}` is no capture of `{self._match.pattern.text}`. Its captures: {known}.")


class AtSites(Generic[Result]):
    """What a scalar gives at all sites of one equation; reckoned once for sites whose words for it are the same.

    Args:
        scalar: what to look at.
        let: as for `SiteScope`.
        matches: the sites among which positions are counted.
        reckon: from the scalar and the words of a site to the result.
        module: as for `SiteScope`.
    """

    def __init__(
        self,
        scalar: Scalar,
        let: Mapping[str, LetValue],
        matches: Sequence[Match],
        reckon: Callable[[Scalar, SiteScope], Result],
        module: bool = False,
    ) -> None:
        self.scalar: Final = scalar
        self._let = let
        self._positions = Positions(matches)
        self._reckon = reckon
        self._module = module
        self._make_key = _compile_key(scalar)
        self._known: dict[Key, Result] = {}

    def evaluate(self, match: Match) -> Result:
        """The result at a site.

        Raises:
            Mistake: 46, 48, 49, 55 to 57; the text names the site where the site matters.
        """
        key = self._make_key(match)
        try:
            return self._known[key]
        except KeyError:
            scope = SiteScope(match, self._let, self._positions, self._module)
            result = self._known[key] = self._reckon(self.scalar, scope)
            return result


class Evaluator(AtSites[ScalarValue]):
    """The values of a scalar."""

    def __init__(
        self, scalar: Scalar, let: Mapping[str, LetValue], matches: Sequence[Match], module: bool = False
    ) -> None:
        super().__init__(scalar, let, matches, evaluate, module)


def _compile_key(scalar: Scalar) -> Callable[[Match], Key]:
    """The function from a site to all that the scalar's value can depend on there."""
    words = sorted(scalar.words)
    readers: list[Callable[[Match], object]] = []
    if not SIZES.isdisjoint(words):
        readers.append(lambda match: match.site.meta.shape)
    if "site" in scalar.words:
        readers.append(lambda match: match.fqn)
    if "module" in scalar.words:
        readers.append(lambda match: match.site.module)
    counted = _counted_words(scalar)
    if counted:
        readers.append(lambda match: tuple(find_prefix(match, name) for name in counted if name in match.captures))

    if len(words) == 1 and not readers:
        word = words[0]
        return lambda match: match.captures.get(word)

    def make_key(match: Match) -> Key:
        captures = match.captures
        captured = tuple([captures.get(word) for word in words])
        return (captured, *[read(match) for read in readers]) if readers else captured

    return make_key


def _counted_words(scalar: Scalar) -> tuple[str, ...]:
    """The words that some function takes: `position`, `count` and the layer assignments ask for places."""
    calls = [node for node in ast.walk(scalar.node) if isinstance(node, ast.Call) and node.args]
    names = {node.args[0].id: None for node in calls if isinstance(node.args[0], ast.Name)}
    return tuple(names)
