"""What was written, as frozen data: a `SharingSpec` and its entries. No torch, no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from lightning_tying.errors import SpecError
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.spec.nodes import (
    Entry,
    Equation,
    Grad,
    Init,
    InitKind,
    LetValue,
    PlainData,
    Policy,
    Preset,
    SpecContent,
    Sync,
    Tie,
)
from lightning_tying.spec.reading import read_spec
from lightning_tying.spec.sources import Source


@final
@dataclass(frozen=True, eq=False)
class SharingSpec(SpecContent):
    """A sharing spec that has been read; two are equal when their dumps are.

    Args:
        entries: equations, ties and presets in file order.
        root: the FQN to which all patterns are relative; empty for the module given to `tie`.
        let: the named numbers, texts, lists and mappings.
        parameters: the policies, by the name they are for.
        syncs: what is shared in time, in file order.
        version: of the language.
        folder: what paths of maps are relative to; not part of the spec's meaning.
        warnings: W3 of the language reference.
        problems: the mistakes of entries that had to be left out; only a draft has any.
        refused: those entries, as far as they could be read.
        root_location: where `root` stands.
    """

    @classmethod
    def load(
        cls, source: Source, *, let: Mapping[str, LetValue] | None = None, file: Path | str | None = None
    ) -> SharingSpec:
        """Read a spec from a path, YAML text or a mapping.

        Args:
            source: as for `load_spec`.
            let: values in the place of those of the file's `let`.
            file: the file that a text or a mapping was taken from.

        Raises:
            SpecError: with every mistake, each with its line.
        """
        spec = cls.draft(source, let=let, file=file)
        if spec.problems:
            raise SpecError(spec.problems)
        return spec

    @classmethod
    def draft(
        cls, source: Source, *, let: Mapping[str, LetValue] | None = None, file: Path | str | None = None
    ) -> SharingSpec:
        """Read what can be read, and keep the mistakes in `problems`.

        Who plans a draft tells the mistakes of the file and those that only the model shows at once.
        """
        content = read_spec(source, let=let, file=file)
        return cls(
            entries=content.entries,
            root=content.root,
            let=content.let,
            parameters=content.parameters,
            syncs=content.syncs,
            version=content.version,
            folder=content.folder,
            warnings=content.warnings,
            problems=content.problems,
            refused=content.refused,
            root_location=content.root_location,
        )

    def dump(self) -> str:
        """The canonical form as YAML text; comments and layout are not kept."""
        return dump_spec(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharingSpec) and self.dump() == other.dump()

    def __hash__(self) -> int:
        return hash(self.dump())

    def __str__(self) -> str:
        return self.dump()


__all__ = [
    "Entry",
    "Equation",
    "Grad",
    "Init",
    "InitKind",
    "LetValue",
    "PlainData",
    "Policy",
    "Preset",
    "SharingSpec",
    "Sync",
    "Tie",
]
