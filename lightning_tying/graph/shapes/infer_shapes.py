"""All values that sites read in, the shapes of all their parameters and nodes out (5.3; errors 60 to 70, 75, 77)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.algebra.partial_shapes import Partial, Shapes, is_whole
from lightning_tying.errors import Location
from lightning_tying.graph.matching.bind import BoundEntry
from lightning_tying.graph.reading.templates import Reading, Template
from lightning_tying.graph.report import Report, name_place
from lightning_tying.graph.shapes.local_shapes import LocalShapes, PlaceClash, call_shapes, infer_locally
from lightning_tying.graph.shapes.shape_texts import advise_index, explain_open_part, explain_unknown, write_shape
from lightning_tying.spec.mistakes import Mistake

Chosen = tuple[tuple[int, Partial], ...]


@dataclass(eq=False, slots=True)
class Reader:
    """One site that reads a value.

    Args:
        reading: the value.
        site: its FQN.
        source: its entry.
        chosen: shapes of nodes that were chosen because nothing followed.
        refused: whether a mistake was found here; it then says nothing more.
        queued: whether it waits for its turn.
    """

    reading: Reading
    site: str
    source: BoundEntry
    chosen: Chosen = ()
    refused: bool = False
    queued: bool = False

    @property
    def location(self) -> Location:
        """Of its entry."""
        return self.source.entry.location


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the shape of a parameter was said first: at a site, or for all sites under `parameters`."""

    site: str
    location: Location
    declared: bool = False


class Inference:
    """What is known so far of every parameter that a function or an operator reads.

    Args:
        readers: in model order; those of penalties behind them.
        report: takes the mistakes.
    """

    def __init__(self, readers: list[Reader], report: Report) -> None:
        self.readers = readers
        self.shapes: dict[ParameterName, Partial] = {}
        self.refused: set[ParameterName] = set()
        self._report = report
        self._origins: dict[ParameterName, Origin] = {}
        self._reads: dict[ParameterName, list[Reader]] = {}
        self._known: dict[tuple[Template, tuple[Partial, ...], Chosen], LocalShapes] = {}
        self._checked: set[int] = set()
        self._told: set[tuple[str, str, Location]] = set()
        for reader in readers:
            for name in reader.reading.parameters:
                self._reads.setdefault(name, []).append(reader)

    @property
    def active(self) -> list[Reader]:
        """The readers without a mistake."""
        return [reader for reader in self.readers if not reader.refused]

    def say(self, name: ParameterName, shape: Partial, origin: Origin) -> None:
        """What a bare use or a declaration says of a parameter, before all else."""
        self.shapes[name] = shape
        self._origins[name] = origin

    def learn(self, name: ParameterName, shape: Partial) -> None:
        """What was chosen for a parameter; all who read it hear of it."""
        self.shapes[name] = shape
        self.spread(self._reads[name])

    def find(self, reader: Reader) -> LocalShapes:
        """All that is known of one value; raises what `infer_locally` raises."""
        places = tuple([self.shapes.get(name) for name in reader.reading.parameters])
        key = (reader.reading.template, places, reader.chosen)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = infer_locally(reader.reading, places, dict(reader.chosen), reader.site)
        return found

    def find_call(self, reader: Reader, number: int) -> Shapes:
        """All that is known of one call."""
        found = self.find(reader)
        return call_shapes(reader.reading, number, found.nodes, found.places)

    def spread(self, readers: Iterable[Reader]) -> None:
        """Use the rules of these values, and of all that read what they say more of, until nothing new follows."""
        waiting = deque(readers)
        for reader in waiting:
            reader.queued = True
        while waiting:
            reader = waiting.popleft()
            reader.queued = False
            for name in self._use(reader) if not reader.refused else ():
                for other in self._reads[name]:
                    if not (other is reader or other.queued or other.refused):
                        other.queued = True
                        waiting.append(other)

    def _use(self, reader: Reader) -> list[ParameterName]:
        """The parameters of which a value says more than was known."""
        try:
            found = self.find(reader)
        except PlaceClash as clash:
            self._refuse_place(reader, clash)
            return []
        except Mistake as mistake:
            self.refuse(reader, mistake.code, mistake.text)
            return []
        more: list[ParameterName] = []
        for name, shape in zip(reader.reading.parameters, found.places, strict=True):
            if shape != self.shapes.get(name):
                self.shapes[name] = shape
                self._origins.setdefault(name, Origin(reader.site, reader.location))
                more.append(name)
        return more

    def finish(self) -> None:
        """Tell what is still open, and check what only whole shapes show."""
        for reader in self.active:
            if self.refused.isdisjoint(reader.reading.parameters):
                self._finish(reader)

    def _finish(self, reader: Reader) -> None:
        found = self.find(reader)
        unknown = [
            name for name, shape in zip(reader.reading.parameters, found.places, strict=True) if not is_whole(shape)
        ]
        part = next((number for number, shape in enumerate(found.nodes) if not is_whole(shape)), None)
        if unknown:
            family = unknown[0].family
            self.refuse(reader, "61", explain_unknown(family, self.shapes.get(unknown[0])), family)
        elif part is not None:
            self.refuse(reader, "61", explain_open_part(reader.reading, part, reader.site))
        elif id(found) not in self._checked:
            self._checked.add(id(found))
            try:
                self._check(reader, found)
            except Mistake as mistake:
                self.refuse(reader, mistake.code, mistake.text)

    def _check(self, reader: Reader, found: LocalShapes) -> None:
        for number, node in enumerate(reader.reading.template.nodes):
            if node.transform is not None:
                node.transform.check(call_shapes(reader.reading, number, found.nodes, found.places), reader.site)

    def _refuse_place(self, reader: Reader, clash: PlaceClash) -> None:
        name = reader.reading.parameters[clash.place]
        if name in self.refused:
            reader.refused = True
            return
        origin = self._origins.get(name, Origin(reader.site, reader.location))
        second = f"{write_shape(clash.needed)} at {reader.site} ({name_place(reader.location)})"
        if origin.declared:
            text = f"`{name}` is declared {write_shape(clash.known)} and is {second}. Declare another shape."
        else:
            first = f"{write_shape(clash.known)} at {origin.site} ({name_place(origin.location)})"
            text = f"`{name}` is {first} and {second}. {advise_index(name, reader.source.entry)}"
        self.refuse(reader, "60", text, name.family)

    def refuse(self, reader: Reader, code: str, text: str, family: str = "") -> None:
        """One mistake for each entry, number and family; what a refused value reads is not told to be open."""
        reader.refused = True
        self.refused.update(reader.reading.parameters)
        key = (code, family, reader.location)
        if key not in self._told:
            self._told.add(key)
            self._report.add(code, reader.location, text)
