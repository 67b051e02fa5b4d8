"""The catalogue's functions as data: how each is called, and what it brings of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.scalar_grammar import count_message

ArgumentKind: TypeAlias = Literal["value", "map", "scalar"]
_VALUES = frozenset({"x", "y", "G"})


@dataclass(frozen=True)
class Argument:
    """One argument of a function; without a default it must be given."""

    name: str
    kind: ArgumentKind
    default: str | None = None


@dataclass(frozen=True)
class Signature:
    """How a function is called.

    Args:
        name: as it is written in a value.
        written: its arguments as the language reference shows them.
        arguments: one for each place; without those that `…` stands for.
        endless: whether the last place can be repeated.
        letters: whether any single letter is a keyword, for the open sizes of `einsum`.
        brings: the names of its own parameters.
        fixed_map: whether it makes a map from a seed, which an index after the call shares.
    """

    name: str
    written: str
    arguments: tuple[Argument, ...]
    endless: bool = False
    letters: bool = False
    brings: tuple[str, ...] = ()
    fixed_map: bool = False

    def __str__(self) -> str:
        return f"{self.name}({self.written})"

    @property
    def takes_index(self) -> bool:
        return bool(self.brings) or self.fixed_map

    def kind_at(self, place: int) -> ArgumentKind:
        """What stands at a place, from 0; the last one is repeated where the function is endless."""
        positional = self._positional
        return positional[min(place, len(positional) - 1)].kind

    @property
    def _positional(self) -> tuple[Argument, ...]:
        """What can be given by place; after `…` an argument needs its name."""
        if not self.endless:
            return self.arguments
        return tuple(argument for argument in self.arguments if argument.default is None)

    def find_keyword(self, keyword: str) -> Argument:
        """The argument of that name.

        Raises:
            Mistake: 44, there is none, or it is a tensor and given by its place.
        """
        for argument in self.arguments:
            if argument.name == keyword and argument.kind != "value":
                return argument
        if self.letters and len(keyword) == 1 and keyword.isalpha():
            return Argument(keyword, "scalar")
        hint = suggest(keyword, [argument.name for argument in self.arguments if argument.kind != "value"])
        raise Mistake("44", f"{self.name} has no argument `{keyword}`.{hint} {self}")

    def check_count(self, given: int, keywords: frozenset[str]) -> None:
        """Refuse too many arguments, too few, and one that is given twice.

        Raises:
            Mistake: 43, 44.
        """
        positional = self._positional
        twice = [argument.name for argument in positional[:given] if argument.name in keywords]
        if twice:
            raise Mistake("44", f"{self.name} is given `{twice[0]}` twice. {self}")
        missing = [part for part in positional[given:] if part.default is None and part.name not in keywords]
        if not missing and (self.endless or given <= len(positional)):
            return
        needed = sum(argument.default is None for argument in positional)
        count = given + len(keywords)
        if needed == len(positional) and not self.endless:
            raise Mistake("43", count_message(str(self), needed, count))
        more = f"{needed} or more" if self.endless else f"{needed} to {len(positional)}"
        raise Mistake("43", f"{self} takes {more} arguments; {count} {'is' if count == 1 else 'are'} given.")


def _sign(
    name: str, written: str, *brings: str, fixed_map: bool = False, letters: bool = False, needs: int | None = None
) -> tuple[str, Signature]:
    """A signature from the line of the language reference; `needs`: how many of an endless list must be given."""
    parts = [part for part in _split(written) if part != "…"]
    arguments = [_argument(part) for part in parts if not (letters and "=" in part)]
    if needs is not None:
        arguments = [*arguments[:needs], *(argument for argument in arguments[needs:] if argument.default is not None)]
    return name, Signature(name, written, tuple(arguments), "…" in written, letters, brings, fixed_map)


def _split(written: str) -> list[str]:
    return ["formula" if part.startswith("'") else part for part in written.replace("'or,ri->oi'", "'…'").split(", ")]


def _argument(part: str) -> Argument:
    name, _, default = part.partition("=")
    kind = "value" if name in _VALUES else "map" if name == "map" else "scalar"
    return Argument(name, kind, default or None)


FUNCTIONS: dict[str, Signature] = dict(
    [
        _sign("t", "x"),
        _sign("reshape", "x, shape=None"),
        _sign("permute", "x, a, b, …", needs=2),
        _sign("flip", "x, a, …"),
        _sign("roll", "x, n, dim=0"),
        _sign("rot90", "x, k=1"),
        _sign("slice", "x, start, stop, dim=0"),
        _sign("rows", "x, map, block=1"),
        _sign("gather", "x, map, outside=None"),
        _sign("repeat", "x, n, dim=0, block=1"),
        _sign("concat", "x, y, …, dim=0", needs=1),
        _sign("mask", "x, map"),
        _sign("hashed", "x, seed=0, chunk=1, sign=True", fixed_map=True),
        _sign("einsum", "'or,ri->oi', x, y, …, r=8", letters=True, needs=2),
        _sign("scale", "x, dim=None", "s"),
        _sign("diag", "x"),
        _sign("low_rank", "r", "A", "B"),
        _sign("mix", "x, k, softmax=False, top=None, block=None", "a"),
        _sign("basis", "x, r", "C"),
        _sign("kron", "x, y"),
        _sign("tt", "G, rows, cols, rank"),
        _sign("project", "x, seed=0, kind='dense'", fixed_map=True),
        _sign("vera", "r, seed=0", "d", "b", fixed_map=True),
        _sign("resize", "x, shape=None"),
        _sign("normalize", "x, dim=0"),
        _sign("softmax", "x, dim=-1"),
        _sign("tanh", "x"),
        _sign("sigmoid", "x"),
        _sign("exp", "x"),
        _sign("drop", "x, p"),
        _sign("stop", "x"),
        _sign("scale_grad", "x, a"),
    ]
)


def find_function(name: str) -> Signature | None:
    """The signature of a function of the catalogue; None for an import path, which is checked where it is used.

    Raises:
        Mistake: 41, neither.
    """
    if name in FUNCTIONS or "." in name:
        return FUNCTIONS.get(name)
    known = ", ".join(sorted(FUNCTIONS))
    raise Mistake("41", f"Unknown function `{name}`.{suggest(name, FUNCTIONS)} Known: {known}.")


def register_signature(signature: Signature) -> None:
    """Let specs call a function of the user's own; one registered before under its name is replaced."""
    FUNCTIONS[signature.name] = signature
