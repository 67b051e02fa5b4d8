"""Layer assignments: a layer's position, the number of layers and of members in; the member's index out."""

from __future__ import annotations

from collections.abc import Callable

Assignment = Callable[[int, int, int], int]


def cycle(p: int, n: int, m: int) -> int:  # noqa: ARG001 - all assignments are called alike
    """P mod M (Takase & Kiyono 2023, "cycle")."""
    return p % m


def sequence(p: int, n: int, m: int) -> int:
    """⌊p·M / N⌋: M blocks of neighbors (Takase & Kiyono 2023, "sequence")."""
    return p * m // n


def cycle_rev(p: int, n: int, m: int) -> int:
    """Cycles, and the last M layers in reverse order (Takase & Kiyono 2023, "cycle (rev)")."""
    return p % m if p < n - m else n - 1 - p


def sandwich(p: int, n: int, m: int) -> int:  # noqa: ARG001 - all assignments are called alike
    """First 0, last 2, all between 1 (Reid et al. 2021, Subformer)."""
    return 0 if p == 0 else 2 if p == n - 1 else 1


def middle_cycle(p: int, n: int, m: int) -> int:
    """First and last alone, a cycle between (Bae et al. 2025, Mixture-of-Recursions)."""
    return 0 if p == 0 else m + 1 if p == n - 1 else 1 + (p - 1) % m


def middle_sequence(p: int, n: int, m: int) -> int:
    """First and last alone, blocks of neighbors between (Bae et al. 2025, Mixture-of-Recursions)."""
    return 0 if p == 0 else m + 1 if p == n - 1 else 1 + (p - 1) * m // (n - 2)


ASSIGNMENTS: dict[str, Assignment] = {
    "cycle": cycle,
    "sequence": sequence,
    "cycle_rev": cycle_rev,
    "middle_cycle": middle_cycle,
    "middle_sequence": middle_sequence,
    "sandwich": sandwich,
}


def explain_misfit(name: str, word: str, under: str, n: int, m: int) -> str | None:
    """Why N positions and M members do not go with an assignment, or None when they do (error 56).

    Args:
        name: the assignment's name.
        word: the capture's name, for the message.
        under: where its values were counted, ` under `layers.``, or nothing.
        n: how many values the capture takes.
        m: how many members were asked for; without meaning for `sandwich`.
    """
    values = f"{word} has {n} value{'' if n == 1 else 's'}{under}"
    if name == "sandwich":
        return None if n >= 3 else f"{values}, and 3 or more are needed."
    if m < 1:
        return f"{m} is less than 1."
    if name in ("sequence", "cycle_rev") and m > n:
        return f"{values}, and {m} is more."
    if name.startswith("middle_") and m > n - 2:
        return f"{values}, {max(n - 2, 0)} of them in the middle, and {m} is more."
    return None
