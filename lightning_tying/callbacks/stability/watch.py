"""The samples of one sharing group one after the other in; how it changes over time, and what is alarming, out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.running import RunningStability
from lightning_tying.reports.stability.signs import find_alarms, is_fast

PATIENCE = 3  # samples in turn: batches are noisy, and one sample says little
PULL = 0.5  # K κ: 1 where uses have nothing to do with each other, 0 where they cancel

Kind: TypeAlias = Literal["unstable", "conflict"]


@dataclass(frozen=True)
class Alarm:
    """What cannot wait for the report.

    Args:
        step: the optimizer step.
        group: the sharing group's name.
        kind: `unstable` (not finite, a spike, steps that are too large) or `conflict` (the uses cancel).
        text: a sentence.
    """

    step: int
    group: str
    kind: Kind
    text: str


class GroupWatch:
    """What is remembered of one sharing group."""

    def __init__(self) -> None:
        self.running = RunningStability()
        self._samples = 0
        self._fast = 0  # samples in turn
        self._apart = 0
        self._alarmed = False

    def judge(self, record: Record) -> list[Alarm]:
        """Find what is alarming and was not at the sample before.

        A large step counts from the second in turn, and not at the first sample: what is 0 at the start moves by more
        than its size. Uses cancel where K κ was below 0.5 three samples in turn.
        """
        self._samples += 1
        self._fast = self._fast + 1 if is_fast(record) and self._samples > 1 else 0
        told = find_alarms(record if self._fast > 1 else replace(record, update_to_weight=math.nan))
        alarms = [Alarm(record.step, record.group, "unstable", text) for text in told]
        fresh = [] if self._alarmed else alarms
        self._alarmed = bool(alarms)
        return [*fresh, *self._judge_conflict(record)]

    def state_dict(self) -> dict[str, Any]:
        """All of it as plain content and tensors."""
        counts = {"samples": self._samples, "fast": self._fast, "apart": self._apart, "alarmed": self._alarmed}
        return {"running": self.running.state_dict(), **counts}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> GroupWatch:
        """Go on from what `state_dict` gave."""
        made = cls()
        made.running.load_state_dict(state["running"])
        made._samples, made._fast, made._apart = state["samples"], state["fast"], state["apart"]
        made._alarmed = state["alarmed"]
        return made

    def _judge_conflict(self, record: Record) -> list[Alarm]:
        if math.isnan(record.kappa):
            return []
        self._apart = self._apart + 1 if len(record.uses) * record.kappa < PULL else 0
        if self._apart != PATIENCE:
            return []
        text = (
            f"{record.group}: its {len(record.uses)} uses cancel each other at step {record.step} and the "
            f"{PATIENCE - 1} samples before (coherence {record.kappa:.2f}; {1 / len(record.uses):.2f} where they have "
            "nothing in common)"
        )
        return [Alarm(record.step, record.group, "conflict", text)]
