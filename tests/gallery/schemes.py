"""The gallery as data: every scheme with its file, its counts and its reference.

`schemes/‹family›.yaml` holds for each file of configs/sharing its `id`, `formula`, `counts` and what else is `checked`.
A count is a tree of `tests/trees.py` with its parameters `before` and `after`; `let` stands in the place of the file's,
`counted` is the number after by arithmetic, `note` says which model it is.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from lightning_tying.spec import SharingSpec, load_spec
from tests import trees
from tests.gallery.case import Case
from tests.gallery.references import (
    attention,
    dictionaries,
    embeddings,
    layers,
    models,
    recurrence,
    subspaces,
    symmetry,
    vocabularies,
)

FAMILIES: dict[str, ModuleType] = {
    "embeddings": embeddings,
    "vocabularies": vocabularies,
    "layers": layers,
    "dictionaries": dictionaries,
    "attention": attention,
    "subspaces": subspaces,
    "symmetry": symmetry,
    "recurrence": recurrence,
    "models": models,
}
CONFIGS = Path(__file__).parents[2] / "configs" / "sharing"


@dataclass(frozen=True)
class Count:
    """Parameters of a published model before and after, and how many of these are frozen."""

    scheme: str
    tree: Mapping[str, Any]
    before: int
    after: int
    let: Mapping[str, Any]
    counted: str = ""
    note: str = ""
    frozen: int = 0

    def __str__(self) -> str:
        return f"{self.scheme}-{self.after}"


@dataclass(frozen=True)
class Scheme:
    """One file of configs/sharing, with all that is known of it."""

    name: str
    family: str
    id: str
    formula: str
    counts: tuple[Count, ...]
    checked: tuple[str, ...]

    @property
    def file(self) -> Path:
        return CONFIGS / f"{self.name}.yaml"

    def make_case(self, seed: int) -> Case:
        """The reference, on a small tree that depends on the seed."""
        return getattr(FAMILIES[self.family], self.name)(seed)


def _read_scheme(family: str, name: str, data: Mapping[str, Any]) -> Scheme:
    counts = [
        Count(
            name,
            count.get("tree", {}),
            count["before"],
            count["after"],
            count.get("let", {}),
            str(count.get("counted", "")),
            count.get("note", ""),
            count.get("frozen", 0),
        )
        for count in data["counts"]
    ]
    return Scheme(name, family, data["id"], data["formula"], tuple(counts), tuple(data.get("checked", ())))


def _read_family(family: str) -> Iterator[Scheme]:
    text = (Path(__file__).parent / "schemes" / f"{family}.yaml").read_text(encoding="utf-8")
    for name, data in yaml.safe_load(text).items():
        yield _read_scheme(family, name, data)


SCHEMES = {scheme.name: scheme for family in FAMILIES for scheme in _read_family(family)}


def expand(fqn: str) -> Iterator[str]:
    """`a.{0-2}.{x,y}` as the six FQNs that it stands for."""
    parts = re.split(r"\{([^}]*)\}", fqn)
    choices = [[part] if i % 2 == 0 else list(_choices(part)) for i, part in enumerate(parts)]
    return ("".join(chosen) for chosen in itertools.product(*choices))


def _choices(part: str) -> Iterator[str]:
    run = re.fullmatch(r"([0-9]+)-([0-9]+)", part)
    yield from map(str, range(int(run[1]), int(run[2]) + 1)) if run else part.split(",")


def make_shapes(tree: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    """The sites of a tree and their shapes."""
    shapes: dict[str, Sequence[int]] = {}
    for builder, arguments in tree.items():
        if builder == "sites":
            shapes |= {fqn: shape for folded, shape in arguments.items() for fqn in expand(folded)}
        else:
            shapes |= getattr(trees, builder)(*arguments)
    return shapes


def write_files(scheme: Scheme, case: Case, folder: Path) -> SharingSpec:
    """The scheme's own file beside maps of the case's size, loaded with the case's `let`."""
    maps = folder / "maps"
    maps.mkdir(parents=True, exist_ok=True)
    for name, content in case.maps.items():
        if isinstance(content, Mapping) and "members" in content:
            _write_row_map(maps / f"{name}.safetensors", content["members"], content["rows"])
        else:
            (maps / f"{name}.json").write_text(json.dumps(content))
    file = folder / scheme.file.name
    file.write_text(scheme.file.read_text(encoding="utf-8"), encoding="utf-8")
    return load_spec(file, let=dict(case.let))


def _write_row_map(path: Path, members: Mapping[str, Sequence[int]], rows: int) -> None:
    save_file(
        {name: torch.tensor(entries, dtype=torch.int32) for name, entries in members.items()}, path, {"rows": str(rows)}
    )


def make_module(case: Case, seed: int = 0) -> nn.Module:
    """The case's tree in float64 with random values."""
    module = trees.tree(case.shapes, device="cpu", dtypes=dict.fromkeys(case.shapes, torch.float64))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=generator)
    return module


def read_site(module: nn.Module, site: str) -> torch.Tensor:
    """What stands at the site: a parameter, or the value that its parametrization makes."""
    path, _, name = site.rpartition(".")
    return getattr(module.get_submodule(path), name)
