"""What a policy decided, and why, in; a line of JSON out, and back again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast, get_args

from lightning_tying.reports.plain_content import to_plain

Action: TypeAlias = Literal["split", "join", "undo", "refuse"]
Groups: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Decision:
    """One decision of one policy.

    Args:
        step: optimizer steps before it.
        epoch: in which it fell.
        policy: that decided, with what tells it from others.
        action: `split` and `join` were carried out; `undo` is a join that was tried and taken back; `refuse` is what
            was wanted and not done.
        before: names and sites of the groups that it is about.
        after: those of the groups in their place; as before where nothing was changed.
        parameters: of the model from then on.
        reason: a sentence.
        evidence: what it was decided by: numbers, texts and lists of them.
    """

    step: int
    epoch: int
    policy: str
    action: Action
    before: Groups
    after: Groups
    parameters: int
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """As plain content for JSON and checkpoints; numbers that are not finite are None."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "policy": self.policy,
            "action": self.action,
            "before": [[name, list(sites)] for name, sites in self.before],
            "after": [[name, list(sites)] for name, sites in self.after],
            "parameters": self.parameters,
            "reason": self.reason,
            "evidence": to_plain(self.evidence),
        }

    def __str__(self) -> str:
        return f"step {self.step}: {self.policy}: {self.action} {list_names(self.before)}: {self.reason}"


def write_decisions(decisions: Sequence[Decision]) -> str:
    """A line of JSON for each."""
    lines = (json.dumps(each.to_dict(), ensure_ascii=False, separators=(",", ":")) for each in decisions)
    return "".join(f"{line}\n" for line in lines)


def read_decision(content: object) -> Decision:
    """What `Decision.to_dict` gave.

    Raises:
        ValueError: it is something else.
    """
    try:
        data = cast("Mapping[str, Any]", content)
        if data["action"] not in get_args(Action):
            raise ValueError(f"no action: {data['action']}")
        return Decision(
            int(data["step"]),
            int(data["epoch"]),
            str(data["policy"]),
            data["action"],
            _read_groups(data["before"]),
            _read_groups(data["after"]),
            int(data["parameters"]),
            str(data["reason"]),
            dict(data["evidence"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a decision: {error}") from error


def list_names(groups: Groups) -> str:
    """Groups as a sentence has them: their names, with how many sites they have where that is more than one."""
    return ", ".join(f"`{name}`" + (f" ({len(sites)})" if len(sites) > 1 else "") for name, sites in groups)


def _read_groups(data: Sequence[Sequence[Any]]) -> Groups:
    return tuple((str(name), tuple(str(site) for site in sites)) for name, sites in data)
