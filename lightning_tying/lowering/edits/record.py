"""An edit that was carried out in; frozen data that a checkpoint carries, and a line for people, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from lightning_tying.errors import ConfigError

Groups: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
_DAMAGED = "The checkpoint's entry `sharing` is damaged: its edits are not what was written."


@dataclass(frozen=True)
class EditRecord:
    """One split or join.

    Args:
        step: optimizer steps before it (`trainer.global_step`).
        epoch: in which it happened (`trainer.current_epoch`).
        kind: what it was.
        before: names of the groups that were edited, each with its sites.
        after: those of the groups in their place; a parameter that one site reads has its FQN.
        init: of a join, where its value came from; empty for a split.
    """

    step: int
    epoch: int
    kind: Literal["split", "join"]
    before: Groups
    after: Groups
    init: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As plain content."""
        return {
            "step": self.step,
            "epoch": self.epoch,
            "kind": self.kind,
            "before": [[name, list(sites)] for name, sites in self.before],
            "after": [[name, list(sites)] for name, sites in self.after],
            "init": self.init,
        }

    def __str__(self) -> str:
        one, two = (", ".join(f"`{name}` ({len(sites)})" for name, sites in each) for each in (self.before, self.after))
        return f"step {self.step}: {self.kind} {one} -> {two}"


def read_records(data: object) -> tuple[EditRecord, ...]:
    """What `to_dict` wrote, of each edit.

    Raises:
        ConfigError: the content is damaged.
    """
    if not isinstance(data, list):
        raise ConfigError(_DAMAGED)
    try:
        return tuple(_read_record(each) for each in cast("list[Mapping[str, Any]]", data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(_DAMAGED) from error


def _read_record(data: Mapping[str, Any]) -> EditRecord:
    if data["kind"] not in ("split", "join"):
        raise ValueError(data["kind"])
    return EditRecord(
        int(data["step"]),
        int(data["epoch"]),
        data["kind"],
        _read_groups(data["before"]),
        _read_groups(data["after"]),
        str(data["init"]),
    )


def _read_groups(data: Sequence[Sequence[Any]]) -> Groups:
    return tuple((str(name), tuple(str(site) for site in sites)) for name, sites in data)
