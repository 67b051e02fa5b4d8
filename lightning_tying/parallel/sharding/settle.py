"""Sets of modules in, units out that FSDP2 can take: each parameter in one unit, no module of a unit inside another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lightning_tying.parallel.sharding.module_tree import Holding

ROOT = 0  # the unit of the root module is the first


class Units:
    """Units by number; the first has the root alone.

    Args:
        first: by FQN, the first FQN of the same module.
        units: first FQNs of their modules.
    """

    def __init__(self, first: Mapping[str, str], units: Iterable[Iterable[str]]) -> None:
        self.first = first
        self._by_first: dict[str, list[str]] = {}
        for path, module in first.items():
            self._by_first.setdefault(module, []).append(path)
        self.members: dict[int, set[str]] = {ROOT: {""}}
        self._of: dict[str, int] = {"": ROOT}
        for unit in units:
            self.add(unit)

    def add(self, modules: Iterable[str]) -> int:
        """A new unit; one that has a module already is joined with it.

        Returns:
            Its number.
        """
        number = max(self.members) + 1
        self.members[number] = set()
        for module in modules:
            held = self._of.get(module)
            if held is not None and held != number:
                number = self.join((held, number))
            self._of[module] = number
            self.members[number].add(module)
        self._drop_nested(number)
        return number

    def find(self, path: str) -> int:
        """The unit that takes the parameters of the module at `path`: its own, or the nearest above."""
        while path:
            number = self._of.get(self.first.get(path, path))
            if number is not None:
                return number
            path = path.rpartition(".")[0]
        return ROOT

    def find_all(self, paths: Iterable[str]) -> tuple[int, ...]:
        """The units that would take a parameter which is held at these paths, in ascending order."""
        return tuple(sorted({self.find(path) for path in paths}))

    def join(self, numbers: Iterable[int]) -> int:
        """Make one unit of several; the root takes in all that it is joined with."""
        kept, *others = sorted(numbers)
        for number in others:
            for module in self.members.pop(number):
                self._of[module] = kept
                self.members[kept].add(module)
        self._drop_nested(kept)
        return kept

    def order(self) -> list[int]:
        """The units, those inside others first, the root last; units that lie inside each other are joined."""
        while True:
            above = {number: self._find_above(number) for number in self.members}
            order = _sort(above)
            if len(order) == len(self.members):
                return order
            circle = [number for number in self.members if number not in order]
            self.join(_find_circle(circle, above))

    def settle(self, holdings: Sequence[Holding]) -> list[int]:
        """Join units until each parameter is in one, and none lies inside another and around it as well.

        Returns:
            What `order` does.
        """
        while True:
            count = len(self.members)
            for holding in holdings:
                found = self.find_all(holding.paths)
                if len(found) > 1:
                    self.join(found)
            order = self.order()
            if len(self.members) == count and all(len(self.find_all(each.paths)) == 1 for each in holdings):
                return order

    def _drop_nested(self, number: int) -> None:
        members = self.members[number]
        for module in sorted(members):
            if self._lies_in(module, members):
                members.discard(module)
                del self._of[module]

    def _lies_in(self, module: str, members: set[str]) -> bool:
        """Whether an FQN of a module leads through another of the unit, which torch refuses."""
        return any(above in members for path in self._paths(module) for above in self._parents(path))

    def _find_above(self, number: int) -> set[int]:
        """The units that must come after this one: a module of theirs has one of this inside."""
        return {
            self._of[above]
            for module in self.members[number]
            for path in self._paths(module)
            for above in self._parents(path)
            if above in self._of
        } - {number}

    def _parents(self, path: str) -> Iterable[str]:
        while path:
            path = path.rpartition(".")[0]
            yield self.first.get(path, path)

    def _paths(self, module: str) -> Sequence[str]:
        return self._by_first.get(module, (module,))


def _sort(above: Mapping[int, set[int]]) -> list[int]:
    """Numbers such that each comes before those above it; what lies on a circle, or above one, is left out."""
    below = dict.fromkeys(above, 0)
    for others in above.values():
        for other in others:
            below[other] += 1
    ready = sorted((number for number, count in below.items() if count == 0), reverse=True)
    order: list[int] = []
    while ready:
        number = ready.pop()
        order.append(number)
        for other in sorted(above[number], reverse=True):
            below[other] -= 1
            if below[other] == 0:
                ready.append(other)
    return order


def _find_circle(numbers: Sequence[int], above: Mapping[int, set[int]]) -> list[int]:
    """Numbers that lie above one another, from those that `_sort` left out."""
    left, walk = set(numbers), [numbers[0]]
    while True:
        # each of these has one below it among them, so going down never ends but in a circle
        down = next(number for number in left if walk[-1] in above[number])
        if down in walk:
            return walk[walk.index(down) :]
        walk.append(down)
