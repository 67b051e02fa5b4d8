"""What processes that train apart send to each other, counted beside what plain DDP would have sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from torch import nn


@dataclass
class Traffic:
    """Bytes that one process hands to the others, before the collective divides them among its messages.

    Args:
        rounds: how many averaging rounds there were.
        sent: bytes of all of them.
        plain: bytes of the gradients that plain DDP would have handed over in the same optimizer steps.
    """

    rounds: int = 0
    sent: int = 0
    plain: int = 0

    def add_round(self, sent: int) -> None:
        """A round has been made."""
        self.rounds += 1
        self.sent += sent

    def add_step(self, parameters: Iterable[nn.Parameter]) -> None:
        """An optimizer step has been made: DDP would have reduced every gradient once."""
        self.plain += sum(parameter.nbytes for parameter in parameters if parameter.requires_grad)

    def state_dict(self) -> dict[str, int]:
        """As plain content."""
        return asdict(self)

    def __str__(self) -> str:
        part = f", {self.sent / self.plain:.1%} of them" if self.plain else ""
        return f"{self.rounds} rounds handed over {self.sent:,} bytes; plain DDP {self.plain:,} bytes{part}"
