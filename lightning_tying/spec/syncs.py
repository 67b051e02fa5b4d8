"""The section `sync` of a file in, a `Sync` for each entry out; all its mistakes are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from lightning_tying.errors import Location
from lightning_tying.spec.fields import check_options, read_patterns, read_text, show
from lightning_tying.spec.findings import Findings, Guard
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.nearest import suggest
from lightning_tying.spec.nodes import Moments, Sync, SyncHow, SyncWeights
from lightning_tying.spec.patterns import Pattern, read_pattern
from lightning_tying.spec.sync_weights import read_weights
from lightning_tying.spec.tree import Fields, Items, Leaf, Tree, kind_of

HOWS: tuple[SyncHow, ...] = ("average", "ema", "lookahead", "copy")
MOMENTS: tuple[Moments, ...] = ("keep", "average", "reset")
THENS: tuple[Literal["freeze", "fit", "tie"], ...] = ("freeze", "fit", "tie")
OPTIONS: dict[SyncHow, tuple[str, ...]] = {
    "average": ("sync", "how", "every", "over", "weights", "moments", "except"),
    "ema": ("sync", "how", "every", "from", "decay", "moments", "except"),
    "lookahead": ("sync", "how", "every", "rate", "moments", "except"),
    "copy": ("sync", "how", "from", "file", "then", "except"),
}
RANKS = "ranks"
WordT = TypeVar("WordT", bound=str)


def read_syncs(tree: Tree | None, found: Findings) -> tuple[Sync, ...]:
    """Read `sync`: what needs the model is checked when the spec is planned."""
    if tree is None or (isinstance(tree, Leaf) and tree.value is None):
        return ()
    if not isinstance(tree, Items):
        found.add(tree.location, "7", f"`sync` is a list of entries, and this is {kind_of(tree)}.")
        return ()
    places = [Location(item.location.source, item.location.line, f"sync[{n}]") for n, item in enumerate(tree.items)]
    read = [_read_sync(item, found, place) for item, place in zip(tree.items, places, strict=True)]
    return tuple(sync for sync in read if sync is not None)


def _read_sync(tree: Tree, found: Findings, place: Location) -> Sync | None:
    if not isinstance(tree, Fields):
        found.add(
            place, "7", f"A sync is a mapping, such as {{sync: a.weight, how: ema}}, and this is {kind_of(tree)}."
        )
        return None
    before = len(found.problems)
    how: SyncHow | None = None
    with found.at(place):
        how = _read_how(tree.find("how"))
    if how is None:
        return None
    check_options(f"A sync with how: {how}", tree, OPTIONS[how], found, place)
    known = tuple(field for field in tree.fields if field.key in OPTIONS[how])
    sync = _SyncReader(Fields(known, tree.location), how, found, place).read()
    return sync if len(found.problems) == before else None


def _read_how(tree: Tree | None) -> SyncHow:
    known = f"Known: {', '.join(HOWS)}."
    if tree is None:
        raise Mistake("91", f"A sync needs `how`. {known}")
    for how in HOWS:
        if isinstance(tree, Leaf) and tree.value == how:
            return how
    hint = suggest(tree.value, HOWS) if isinstance(tree, Leaf) and isinstance(tree.value, str) else ""
    raise Mistake("91", f"Unknown how `{tree.written if isinstance(tree, Leaf) else kind_of(tree)}`.{hint} {known}")


@dataclass
class _SyncReader:
    """Reads the options of one entry, each in its own guard, so that one mistake does not hide another."""

    fields: Fields
    how: SyncHow
    found: Findings
    place: Location

    def read(self) -> Sync:
        sites = self._read_sites("sync", needed=True)
        excluded = self._read_sites("except")
        source = self._read_source()
        file = self._read_text("file")
        if self.how == "copy" and source is None and file is None:
            self.found.add(
                self.place, "97", "A copy needs `from` (a pattern of sites), `file` (a checkpoint), or both."
            )
        return Sync(
            sites,
            self.how,
            self._read_every(),
            self._read_over(sites),
            source,
            file,
            self._read_weights(),
            self._read_moments(),
            self._read_part("decay", 0.999),
            self._read_part("rate", 0.5),
            self._read_then(),
            excluded,
            self.place,
        )

    def _at(self, tree: Tree | None) -> Guard:
        return self.found.at(self._place_of(tree))

    def _place_of(self, tree: Tree | None) -> Location:
        return self.place if tree is None else Location(self.place.source, tree.location.line, self.place.path)

    def _read_sites(self, key: str, *, needed: bool = False) -> tuple[Pattern, ...]:
        tree = self.fields.find(key)
        if tree is not None:
            return read_patterns(tree, key, self.found, self._place_of(tree))
        if needed:
            self.found.add(self.place, "11", f"A sync needs `{key}`. Known: {', '.join(OPTIONS[self.how])}.")
        return ()

    def _read_source(self) -> Pattern | None:
        tree = self.fields.find("from")
        with self._at(tree):
            return None if tree is None else read_pattern(read_text(tree, "from"))
        return None

    def _read_text(self, key: str) -> str | None:
        tree = self.fields.find(key)
        with self._at(tree):
            return None if tree is None else read_text(tree, key)
        return None

    def _read_every(self) -> int | Literal["epoch"] | None:
        tree = self.fields.find("every")
        if self.how == "copy":
            return None
        with self._at(tree):
            match tree:
                case None if self.how == "ema":
                    pass
                case None:
                    raise Mistake("92", f"A sync with how: {self.how} needs `every`: a number of steps, or epoch.")
                case Leaf(value="epoch"):
                    return "epoch"
                case Leaf(value=int() as steps) if steps >= 1 and not isinstance(steps, bool):
                    return steps
                case _:
                    raise Mistake("92", f"`every` is a whole number of 1 or more, or epoch, not {show(tree)}.")
        return 1

    def _read_over(self, sites: tuple[Pattern, ...]) -> str:
        over = self._read_text("over")
        lacking = next((pattern for pattern in sites if over not in pattern.captures), None)
        if over is None or over == RANKS or lacking is None:
            return over or ""
        holes = ", ".join(lacking.captures) or "none"
        text = f"`over: {over}` is no hole of {lacking.text}. Its holes: {holes}."
        place = self._place_of(self.fields.find("over"))
        self.found.add(place, "94", f"{text} For the processes of a run write ranks.")
        return ""

    def _read_weights(self) -> SyncWeights:
        tree = self.fields.find("weights")
        with self._at(tree):
            return "uniform" if tree is None else read_weights(tree)
        return "uniform"

    def _read_moments(self) -> Moments:
        known: tuple[Moments, ...] = MOMENTS if self.how == "average" else ("keep", "reset")
        word: Moments | None = self._read_word("moments", known)
        return "keep" if word is None else word

    def _read_then(self) -> Literal["freeze", "fit", "tie"] | None:
        return self._read_word("then", THENS)

    def _read_word(self, key: str, known: tuple[WordT, ...]) -> WordT | None:
        tree = self.fields.find(key)
        for word in known:
            if isinstance(tree, Leaf) and tree.value == word:
                return word
        if tree is not None:
            words = f"{', '.join(known[:-1])} or {known[-1]}"
            where = f" with how: {self.how}" if key == "moments" else ""
            self.found.add(self._place_of(tree), "84", f"`{key}` is {words}{where}, not {show(tree)}.")
        return None

    def _read_part(self, key: str, default: float) -> float:
        tree = self.fields.find(key)
        if tree is None:
            return default
        value = tree.value if isinstance(tree, Leaf) else None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.found.add(self._place_of(tree), "84", f"`{key}` is a number from 0 to 1, not {show(tree)}.")
            return default
        return float(value)
