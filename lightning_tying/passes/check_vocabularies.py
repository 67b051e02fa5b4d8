"""Refuses tables that two vocabularies read by index, or by the map of another tokenizer (errors 88 to 90)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lightning_tying.algebra.expression import FileMap, ParameterName
from lightning_tying.algebra.maps.member_paths import split_member
from lightning_tying.algebra.row_readings import RowReading, find_row_readings
from lightning_tying.errors import Problem, SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import Use
from lightning_tying.passes.group_sites import find_place

_SHOWN_DIGITS = 4
_UNITE = "lightning-tying vocab unite"


@dataclass(frozen=True)
class SiteVocabulary:
    """The vocabulary whose ids number the rows of a site.

    Args:
        name: of the vocabulary: a language, `source`.
        digest: the SHA-256 of its `tokenizer.json`; empty where the data have not been read.
    """

    name: str
    digest: str = ""

    def is_other(self, other: SiteVocabulary) -> bool:
        """Whether an id is another word in the other one, as far as is known."""
        if self.digest and other.digest:
            return self.digest != other.digest
        return self.name != other.name


@dataclass(frozen=True)
class _Reader:
    """A site of a vocabulary, and how it finds its rows in a table."""

    use: Use
    reading: RowReading
    vocabulary: SiteVocabulary

    @property
    def file(self) -> FileMap | None:
        return self.reading.map if isinstance(self.reading.map, FileMap) else None


def check_vocabularies(graph: SharingGraph, vocabularies: Mapping[str, SiteVocabulary]) -> None:
    """Every table that several vocabularies read is read by the maps of one row map, made for these tokenizers.

    Args:
        graph: of the network.
        vocabularies: of the sites whose rows are words, by FQN.

    Raises:
        SpecError: 88, a table is read by index; 89, a map numbers the ids of another tokenizer; 90, one table is read
            by two row maps. One problem for each table.
    """
    readers: dict[ParameterName, list[_Reader]] = {}
    for reader in _find_readers(graph, vocabularies):
        readers.setdefault(reader.reading.table, []).append(reader)
    found = [problem for group in readers.values() for problem in [_check_table(group)] if problem is not None]
    if found:
        raise SpecError(found)


def _find_readers(graph: SharingGraph, vocabularies: Mapping[str, SiteVocabulary]) -> Iterator[_Reader]:
    derived = {each.site: each.expression for each in graph.derived}
    readings = {site: tuple(find_row_readings(derived[site])) for site in vocabularies if site in derived}
    for group, use in graph.uses():
        if use.site not in vocabularies:
            continue
        by_expression = readings.get(use.site, (RowReading(group.name, None),))
        for reading in dict.fromkeys(by_expression):
            if reading.table == group.name:
                yield _Reader(use, reading, vocabularies[use.site])


def _check_table(readers: list[_Reader]) -> Problem | None:
    wrong = next((reader for reader in readers if _is_of_another(reader)), None)
    if wrong is not None:
        return Problem("89", wrong.use.location, _tell_another_tokenizer(wrong))
    first = readers[0]
    for other in readers[1:]:
        if not first.vocabulary.is_other(other.vocabulary):
            continue
        place = find_place(first.use, other.use)
        if first.file is not None and other.file is not None:
            if _is_another_row_map(first.file, other.file):
                return Problem("90", place, _tell_two_row_maps(first, other))
        elif first.reading.map == other.reading.map or None in (first.reading.map, other.reading.map):
            return Problem("88", place, _tell_index_tie(first, other))
    return None


def _is_of_another(reader: _Reader) -> bool:
    file, known = reader.file, reader.vocabulary.digest
    return file is not None and bool(file.digest) and bool(known) and file.digest != known


def _is_another_row_map(one: FileMap, other: FileMap) -> bool:
    return one.member is not None and other.member is not None and one.sha256 != other.sha256


def _tell_index_tie(first: _Reader, other: _Reader) -> str:
    table = _name_table(first)
    sites = " and ".join(f"{each.use.site} ({each.vocabulary.name})" for each in (first, other))
    lines = [f"{each.use.site} = {_write_rows(each)}" for each in (first, other)]
    return (
        f"{table} is read by index at {sites}, which have two vocabularies: a number is one word in the one and an "
        f"unrelated word in the other, and these would be tied. Unite the vocabularies ({_UNITE}) and write "
        f"{'; '.join(lines)}."
    )


def _tell_another_tokenizer(reader: _Reader) -> str:
    file, vocabulary = reader.file, reader.vocabulary
    if file is None:
        return ""
    digests = f"SHA-256 {file.digest[:_SHOWN_DIGITS]}… against {vocabulary.digest[:_SHOWN_DIGITS]}…"
    path = split_member(file.path)[0]
    text = (
        f"{file.path} numbers the ids of another tokenizer than {reader.use.site} has, that of {vocabulary.name} "
        f"({digests}): unrelated words would be tied."
    )
    return f"{text} Take the member of that vocabulary ({path}#‹member›), or unite the vocabularies again ({_UNITE})."


def _tell_two_row_maps(first: _Reader, other: _Reader) -> str:
    paths = " and ".join(each.file.path for each in (first, other) if each.file is not None)
    return (
        f"{paths} are members of two row maps, and {_name_table(first)} is one table: a row is one word in the one and "
        f"an unrelated word in the other. Unite all vocabularies at once ({_UNITE}) and take both from one file."
    )


def _name_table(reader: _Reader) -> str:
    named = reader.use.written.text
    return f"`{reader.reading.table}`" if named else f"The table of {reader.use.site}"


def _write_rows(reader: _Reader) -> str:
    name = reader.reading.table.family if reader.use.written.text else "vocab"
    return f"rows({name}, map='vocab/rows.safetensors#{reader.vocabulary.name}')"
