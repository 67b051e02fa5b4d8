"""From many FQNs to few lines: `layers.0.norm.weight` … `layers.5.norm.weight` become `layers.{0…5}.norm.weight`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def fold_fqns(fqns: Iterable[str]) -> tuple[str, ...]:
    """Fold FQNs that differ in one whole number; the lines stand in the order of their first FQN."""
    families: dict[tuple[str | None, ...], list[tuple[str, ...]]] = {}
    for fqn in fqns:
        segments = tuple(fqn.split("."))
        families.setdefault(_skeleton(segments), []).append(segments)
    folded = [line for members in families.values() for line in _fold_family(members)]
    return tuple(folded)


def fold_numbers(numbers: Iterable[int]) -> str:
    """Whole numbers as runs: 0, 1, 2, 5 is `0…2, 5`; two neighbors are written out."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(_write_run(run) for run in runs)


def _write_run(run: Sequence[int]) -> str:
    return f"{run[0]}…{run[-1]}" if len(run) > 2 else ", ".join(str(number) for number in run)


def _skeleton(segments: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(None if _is_number(segment) else segment for segment in segments)


def _is_number(segment: str) -> bool:
    return segment.isascii() and segment.isdigit() and str(int(segment)) == segment


def _fold_family(members: Sequence[tuple[str, ...]]) -> list[str]:
    """Fold along the first place whose number varies; FQNs that differ elsewhere stay apart."""
    place = next((i for i, values in enumerate(zip(*members, strict=True)) if len(set(values)) > 1), None)
    if place is None:
        return [".".join(members[0])]
    lines: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
    for segments in members:
        rest = (segments[:place], segments[place + 1 :])
        lines.setdefault(rest, []).append(int(segments[place]))
    return [_write_line(before, numbers, after) for (before, after), numbers in lines.items()]


def _write_line(before: tuple[str, ...], numbers: Sequence[int], after: tuple[str, ...]) -> str:
    middle = f"{{{fold_numbers(numbers)}}}" if len(numbers) > 1 else str(numbers[0])
    return ".".join((*before, middle, *after))
