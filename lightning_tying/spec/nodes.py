"""What was written, as frozen data: the entries of a spec and their options. No torch, no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, Union

from lightning_tying.errors import Location, Problem
from lightning_tying.spec.patterns import Pattern
from lightning_tying.spec.scalars import Scalar
from lightning_tying.spec.values import Value

LetValue: TypeAlias = Union[int, float, str, "list[LetValue]", "dict[str, LetValue]"]
PlainData: TypeAlias = Union[bool, int, float, str, "list[PlainData]", "dict[str, PlainData]", None]

InitKind: TypeAlias = Literal[
    "first", "mean", "stepwise", "site", "svd", "svd_joint", "procrustes", "match", "zeros", "ones", "constant",
    "normal", "uniform", "trunc_normal", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal",
    "orthogonal",
]  # fmt: skip
DefaultInit: TypeAlias = Literal["variance", "solved", "orthogonal_rows"]  # not written: defaults of functions


@dataclass(frozen=True)
class Init:
    """How a shared parameter gets its value: `normal(0.02)` is `Init("normal", (0.02,))`.

    Args:
        kind: the word before the bracket, or what stands for the default of a function.
        arguments: numbers of a drawn init, the FQN of `site(…)`, or the file of `svd_joint(whiten='…')`.
    """

    kind: InitKind | DefaultInit
    arguments: tuple[float | str, ...] = ()

    def __str__(self) -> str:
        inside = ", ".join(str(argument) for argument in self.arguments)
        if self.kind == "svd_joint":
            inside = f"whiten={inside!r}"
        return f"{self.kind}({inside})" if self.arguments else self.kind


@dataclass(frozen=True)
class Grad:
    """What an equation's uses add to the gradients of its shared parameters."""

    kind: Literal["sum", "mean", "owner", "stop", "scale"] = "sum"
    scale: Scalar | None = None


@dataclass(frozen=True)
class Equation:
    """`sites = value`, with its options.

    `init` is keyed by the name it is for; the key `""` is a plain text for all shared parameters. `alone` is false
    for one of several equations of a preset, which divide its sites: such a one may be left without any.
    """

    sites: tuple[Pattern, ...]
    value: Value
    where: Scalar | None = None
    excluded: tuple[Pattern, ...] = ()
    init: Mapping[str, Init] = field(default_factory=dict[str, Init])
    grad: Grad = Grad()
    penalty: Scalar | None = None
    keep: bool = False
    location: Location = field(default=Location(), compare=False)
    alone: bool = field(default=True, compare=False)


@dataclass(frozen=True)
class Tie:
    """`tie: [site, site, …]`: all these sites read one shared parameter."""

    sites: tuple[Pattern, ...]
    name: str | None = None
    excluded: tuple[Pattern, ...] = ()
    init: Mapping[str, Init] = field(default_factory=dict[str, Init])
    grad: Grad = Grad()
    location: Location = field(default=Location(), compare=False)


@dataclass(frozen=True)
class Preset:
    """`preset: {name: albert, over: …}`, as written; it stands for equations."""

    arguments: Mapping[str, PlainData]
    where: Scalar | None = None
    excluded: tuple[Pattern, ...] = ()
    location: Location = field(default=Location(), compare=False)


Entry: TypeAlias = Union[Equation, Tie, Preset]


SyncHow: TypeAlias = Literal["average", "ema", "lookahead", "copy"]
Moments: TypeAlias = Literal["keep", "average", "reset"]
SyncWeights: TypeAlias = Union[
    Literal["uniform", "samples"], Mapping[str, float], tuple[float, ...], tuple[tuple[float, ...], ...]
]


@dataclass(frozen=True)
class Sync:
    """`{sync: ‹patterns›, how: average, every: 100}`: what happens to the values of sites again and again, or once.

    Args:
        sites: what is changed.
        how: which change.
        every: how many optimizer steps lie between two rounds, or `epoch`; nothing for `copy`, which happens once.
        over: the hole whose values are the members of an average; `ranks` for the processes of a run; empty for the
            first hole.
        source: what an `ema` follows and a `copy` takes its values from; None for the sites themselves.
        file: of a `copy`: the checkpoint that has the sources.
        weights: of an `average`: one word, a number for each member, or a mixing matrix with a row for each.
        moments: what becomes of the optimizer's state of a site that is changed.
        decay: of an `ema`.
        rate: of a `lookahead`.
        then: what follows a `copy`.
        excluded: sites that are left out.
        location: where it stands.
    """

    sites: tuple[Pattern, ...]
    how: SyncHow
    every: int | Literal["epoch"] | None = 1
    over: str = ""
    source: Pattern | None = None
    file: str | None = None
    weights: SyncWeights = "uniform"
    moments: Moments = "keep"
    decay: float = 0.999
    rate: float = 0.5
    then: Literal["freeze", "fit", "tie"] | None = None
    excluded: tuple[Pattern, ...] = ()
    location: Location = field(default=Location(), compare=False)


@dataclass(frozen=True)
class Refused:
    """An entry with a mistake, so that what it may name is not taken to be missing.

    Args:
        sites: those of its patterns that could be read.
        words: every word of its text.
        entry: the entry itself, where only the rest of the file speaks against it.
    """

    sites: tuple[Pattern, ...]
    words: frozenset[str]
    entry: Entry | None = None
    location: Location = field(default=Location(), compare=False)


@dataclass(frozen=True)
class Policy:
    """What holds for all members of one shared parameter (`parameters:` of the file)."""

    shape: tuple[Scalar | None, ...] | None = None  # None inside: an open place, `_`
    init: Init | None = None
    lr: float = 1.0
    weight_decay: float = 1.0
    frozen: bool | None = None
    dtype: Literal["float32", "bfloat16", "float16", "float64"] | None = None
    location: Location = field(default=Location(), compare=False)


@dataclass(frozen=True, eq=False)
class SpecContent:
    """All that a file says, read and checked as far as no model is needed.

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

    entries: tuple[Entry, ...]
    root: str = ""
    let: Mapping[str, LetValue] = field(default_factory=dict[str, LetValue])
    parameters: Mapping[str, Policy] = field(default_factory=dict[str, Policy])
    syncs: tuple[Sync, ...] = ()
    version: int = 1
    folder: Path | None = None
    warnings: tuple[Problem, ...] = ()
    problems: tuple[Problem, ...] = ()
    refused: tuple[Refused, ...] = ()
    root_location: Location = field(default=Location(path="root"))
