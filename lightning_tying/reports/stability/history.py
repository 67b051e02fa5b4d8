"""Records in, lines of `stability.jsonl` out; a file in, its records and what was wrong with it out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lightning_tying.errors import ConfigError
from lightning_tying.reports.stability.record import Record

FILE_NAME = "stability.jsonl"
_BLOCK = 65536


@dataclass(frozen=True)
class History:
    """What a run wrote.

    Args:
        records: by step; of two of one step and group the later one, since a run that goes on from a checkpoint
            measures steps again.
        notes: what a reader should know, such as a line that was left out.
    """

    records: tuple[Record, ...]
    notes: tuple[str, ...] = ()


def append_records(path: Path, records: Iterable[Record]) -> None:
    """Add lines at the end, in one write. Half a line, which a killed process left there, is removed first.

    Args:
        path: the file; its folder is made.
        records: of one sample.

    Raises:
        ConfigError: the file cannot be written.
    """
    text = "".join(f"{record.to_json()}\n" for record in records)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_half_line(path)
        with path.open("ab") as file:
            file.write(text.encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from error


def read_history(path: Path) -> History:
    """Read what a run wrote. Half a line at the end, of a run that still writes or was killed, is left out.

    Raises:
        ConfigError: the file cannot be read, or another line than the last is broken.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error
    found: dict[tuple[int, str], Record] = {}
    notes: list[str] = []
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    for number, line in filled:
        try:
            record = Record.from_json(line.decode())
        except (ValueError, OverflowError, RecursionError) as error:
            if number != filled[-1][0]:
                raise ConfigError(
                    f"{path}:{number}: not a record of GradientStability ({_short(error)}). Remove this line; the "
                    "others are read."
                ) from error
            notes.append(f"{path.name}:{number}: the last line is broken off (an interrupted write); it is left out.")
            continue
        found.pop((record.step, record.group), None)
        found[record.step, record.group] = record
    return History(tuple(sorted(found.values(), key=lambda record: record.step)), tuple(notes))


def _cut_half_line(path: Path) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            line_end = file.read(end - start).rfind(b"\n")
            if line_end >= 0:
                end = start + line_end + 1
                break
            end = start
        if end < file.seek(0, 2):
            file.truncate(end)


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
