"""What sharing saves in one run, as data: every sharing group, the whole model, what a token costs; tables out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from lightning_tying.reports.reckoning.footprint import Footprint
from lightning_tying.reports.reckoning.per_token import PerToken
from lightning_tying.reports.reckoning.run_parts import Part, part_rows
from lightning_tying.reports.reckoning.run_tables import per_token_rows, total_rows
from lightning_tying.reports.reckoning.traffic import Traffic
from lightning_tying.reports.tables import Table


@dataclass(frozen=True)
class RunSavings:
    """A run with its ties against the same run with a parameter of its own at every site.

    Args:
        parts: the whole model, the largest savings first; their sums are `gross` and `net`.
        counted: `sum(p.numel() for p in module.parameters())`; None where the strategy has divided the parameters.
        optimizer: what it keeps, in words; None where that is known after its first step only.
        traffic: how the run is spread.
        per_token: what one token costs.
        peak_bytes: the largest amount of memory so far, of the accelerator or else of the process; None where it was
            not read.
    """

    parts: tuple[Part, ...]
    counted: int | None
    optimizer: str | None
    traffic: Traffic = field(default=Traffic())
    per_token: PerToken = field(default=PerToken())
    peak_bytes: int | None = None

    @cached_property
    def gross(self) -> Footprint:
        """Every site its own parameter."""
        return sum((part.gross for part in self.parts), Footprint())

    @cached_property
    def net(self) -> Footprint:
        """Each parameter once."""
        return sum((part.net for part in self.parts), Footprint())

    @property
    def sent(self) -> tuple[int | None, int | None]:
        """Bytes that each process sends per step, gross and net; None where they are not known."""
        return self.traffic.reckon(self.gross), self.traffic.reckon(self.net)

    @property
    def saved(self) -> float:
        """The saved part of the parameters, 0 to 1; below 0 where there are more."""
        gross = self.gross.parameters
        return 1 - self.net.parameters / gross if gross else 0.0

    @property
    def summary(self) -> str:
        """One line: `427,904 -> 231,552 parameters (46 % saved)`."""
        told = f"{100 * self.saved:.0f} % saved" if self.saved >= 0 else f"{-100 * self.saved:.0f} % more"
        return f"{self.gross.parameters:,} -> {self.net.parameters:,} parameters ({told})"

    @property
    def reconciled(self) -> str:
        """The line that says how the numbers agree with torch's own count."""
        gross, net = self.gross.parameters, self.net.parameters
        verb, sign = ("counted more than once", "-") if gross >= net else ("brought by functions", "+")
        reckoned = f"{gross:,} gross {sign} {abs(gross - net):,} {verb} = {net:,}"
        if self.counted is None:
            return f"Not reconciled: {reckoned}; {self.traffic.name} has divided the parameters."
        return f"Reconciled: {reckoned} = sum(p.numel())."

    def tables(self) -> tuple[Table, ...]:
        """The sharing groups where there are any, then the totals."""
        header = ("shared parameter", "shape", "sites", "gross", "net", "saved", "gradient", "optimizer", "checkpoint")
        shared = [part for part in self.parts if part.kind != "alone"]
        rows = total_rows(self.gross, self.net, self.traffic, optimizer=self.optimizer, peak_bytes=self.peak_bytes)
        totals = Table(("", "gross", "net", "saved"), (*rows, *per_token_rows(self.per_token)))
        groups = (Table(header, part_rows(shared)),) if shared else ()
        return (*groups, totals)

    def notes(self) -> tuple[str, ...]:
        """The sentences below the tables; the summary stands last."""
        return (*self._remarks(), self.reconciled, self.summary)

    def _remarks(self) -> Iterable[str]:
        if all(part.kind == "alone" for part in self.parts):
            yield "Nothing is shared in this model."
            return
        yield "Gradient, optimizer and checkpoint: bytes that each group saves."
        yield "Sharing saves parameters, not computation: every site still computes with what it reads."
        if self.per_token.cache_bytes:
            yield "Nor does it save the cache: every layer keeps keys and values of its own."

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        gross, net = self.sent
        return {
            "gross": {**self.gross.to_dict(), "sent_bytes_per_step": gross},
            "net": {**self.net.to_dict(), "sent_bytes_per_step": net},
            "saved": self.saved,
            "counted_parameters": self.counted,
            "reconciled": self.counted == self.net.parameters,
            "optimizer": self.optimizer,
            "strategy": asdict(self.traffic),
            "per_token": asdict(self.per_token),
            "peak_memory_bytes": self.peak_bytes,
            "groups": [self._part_to_dict(part) for part in self.parts],
        }

    def _part_to_dict(self, part: Part) -> dict[str, Any]:
        told: dict[str, Any] = {"name": part.name, "kind": part.kind, "sites": part.sites, "shape": list(part.shape)}
        for title, footprint in {"gross": part.gross, "net": part.net, "saved": part.saved}.items():
            told[title] = {**footprint.to_dict(), "sent_bytes_per_step": self.traffic.reckon(footprint)}
        return told

    def to_markdown(self) -> str:
        """Tables and sentences in Markdown."""
        return "\n\n".join([*(table.to_markdown() for table in self.tables()), *self.notes()])

    def __str__(self) -> str:
        return "\n\n".join([*(table.to_text() for table in self.tables()), "\n".join(self.notes())])
