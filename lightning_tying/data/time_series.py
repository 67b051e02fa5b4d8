"""Reading of `.ts` files, the format of the time series archives: a path goes in, series and labels come out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from lightning_tying.errors import ConfigError


@final
@dataclass(frozen=True)
class LabelledSeries:
    """Series of numbers with a class each.

    Args:
        series: float32 [frames, channels] of each; frames may differ.
        labels: int64 [series], the place in `classes`.
        classes: their names.
    """

    series: list[NDArray[np.float32]]
    labels: NDArray[np.int64]
    classes: list[str]

    def padded(self, frames: int) -> NDArray[np.float32]:
        """All series as float32 [series, frames, channels], those that are shorter filled with zeros.

        Args:
            frames: at least as many as the longest series has.
        """
        filled = np.zeros((len(self.series), frames, self.series[0].shape[1]), np.float32)
        for place, each in enumerate(self.series):
            filled[place, : len(each)] = each
        return filled

    @property
    def longest(self) -> int:
        """Frames of the longest series."""
        return max(map(len, self.series))


def read_time_series(path: Path) -> LabelledSeries:
    """Read a file with a class for each series: channels stand between colons, the class behind the last.

    Args:
        path: a `.ts` file.

    Raises:
        ConfigError: the file cannot be read, or a line is not what its head promises; with its number.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"data: {path} cannot be read: {error}.") from error
    classes, first = _read_head(lines, path)
    numbered = [(number, line) for number, line in enumerate(lines[first:], first + 1) if line.strip()]
    if not numbered:
        raise ConfigError(f"data: {path} has no series behind its line @data.")
    series: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for number, line in numbered:
        *channels, label = line.split(":")
        where = f"{path}:{number}"
        if label.strip() not in classes:
            raise ConfigError(f"data: {where}: the class {label.strip()!r} is none of {', '.join(classes)}.")
        series.append(_read_channels(channels, where))
        labels.append(classes.index(label.strip()))
        if series[-1].shape[1] != series[0].shape[1]:
            raise ConfigError(
                f"data: {where}: {series[-1].shape[1]} channels, where the first series has {series[0].shape[1]}."
            )
    return LabelledSeries(series, np.array(labels, np.int64), classes)


def _read_head(lines: list[str], path: Path) -> tuple[list[str], int]:
    """The names of the classes, and the index of the first line behind the head."""
    classes: list[str] = []
    for place, line in enumerate(lines):
        words = line.split()
        if words and words[0].lower() == "@classlabel":
            classes = words[2:] if words[1:2] == ["true"] else []
        if words and words[0].lower() == "@data":
            if not classes:
                raise ConfigError(f"data: {path} has no classes: a line like `@classLabel true a b` is missing.")
            return classes, place + 1
    raise ConfigError(f"data: {path} is no .ts file: it has no line @data.")


def _read_channels(channels: list[str], where: str) -> NDArray[np.float32]:
    """float32 [frames, channels] of the text of each channel."""
    try:
        numbers = [[float(word) for word in channel.split(",")] for channel in channels]
    except ValueError as error:
        raise ConfigError(f"data: {where}: {error}; numbers between commas are expected, none missing.") from error
    if not numbers or len({len(each) for each in numbers}) != 1:
        raise ConfigError(f"data: {where}: the channels of a series have equally many numbers; here they do not.")
    found = np.array(numbers, np.float32).T
    if not np.isfinite(found).all():
        raise ConfigError(f"data: {where}: a number is missing or not finite.")
    return found
