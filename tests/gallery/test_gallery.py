"""Every published scheme, one file each: the spec is read and written back; what aliases can do has the exact counts.

A file has `scheme`, `tree` (builders of `tests/trees.py` with their arguments, and `sites`, where `{a,b}` and `{0-5}`
stand for several), `before` and `after` (parameters), and `spec`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lightning_tying.errors import SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec import load_spec, make_schema, spec_to_data
from lightning_tying.spec.schema import Equation, Preset
from tests import trees

FOLDER = Path(__file__).parent
SCHEMES: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))
}
VALIDATOR = jsonschema.Draft202012Validator(make_schema())


def expand(fqn: str) -> Iterator[str]:
    """`a.{0-2}.{x,y}` as the six FQNs that it stands for."""
    parts = re.split(r"\{([^}]*)\}", fqn)
    choices = [[part] if i % 2 == 0 else list(_choices(part)) for i, part in enumerate(parts)]
    return ("".join(chosen) for chosen in itertools.product(*choices))


def _choices(part: str) -> Iterator[str]:
    run = re.fullmatch(r"([0-9]+)-([0-9]+)", part)
    yield from map(str, range(int(run[1]), int(run[2]) + 1)) if run else part.split(",")


def make_shapes(tree: Mapping[str, Any]) -> dict[str, Sequence[int]]:
    shapes: dict[str, Sequence[int]] = {}
    for builder, arguments in tree.items():
        if builder == "sites":
            shapes |= {fqn: shape for folded, shape in arguments.items() for fqn in expand(folded)}
        else:
            shapes |= getattr(trees, builder)(*arguments)
    return shapes


def needs_more_than_aliases(entry: object) -> bool:
    if isinstance(entry, Equation):
        return entry.value.bare is None or entry.grad.kind != "sum" or entry.penalty is not None
    return isinstance(entry, Preset)


def is_alias_only(scheme: Mapping[str, Any]) -> bool:
    return not any(needs_more_than_aliases(entry) for entry in load_spec(scheme["spec"]).entries)


ALIASES = [name for name, scheme in SCHEMES.items() if is_alias_only(scheme)]
WITH_TREE = [name for name, scheme in SCHEMES.items() if "tree" in scheme]


def test_the_gallery_is_whole() -> None:
    assert len(SCHEMES) == 63
    assert len(ALIASES) >= 17


@pytest.mark.parametrize("name", SCHEMES)
def test_a_spec_is_read_dumped_and_valid(name: str) -> None:
    text = SCHEMES[name]["spec"]

    spec = load_spec(text)

    assert load_spec(spec.dump()) == spec
    assert load_spec(spec.dump()).dump() == spec.dump()
    assert load_spec(json.loads(json.dumps(spec_to_data(spec)))) == spec
    assert load_spec(yaml.safe_load(text)) == spec
    for content in (yaml.safe_load(text), spec_to_data(spec), yaml.safe_load(spec.dump())):
        VALIDATOR.validate(content)
    assert not spec.warnings


@pytest.mark.parametrize("name", WITH_TREE)
def test_the_tree_has_the_parameters_of_the_scheme(name: str) -> None:
    scheme = SCHEMES[name]

    assert trees.count(trees.tree(make_shapes(scheme["tree"]))) == scheme["before"]


@pytest.mark.parametrize("name", [name for name in ALIASES if name in WITH_TREE])
def test_aliases_have_the_published_count(name: str) -> None:
    scheme = SCHEMES[name]

    graph = plan_graph(load_spec(scheme["spec"]), take_inventory(trees.tree(make_shapes(scheme["tree"]))))

    shared = sum(group.meta.numel for group in graph.groups)
    assert shared + sum(meta.numel for _, meta in graph.private) == scheme["after"]


@pytest.mark.parametrize("name", [name for name in WITH_TREE if name not in ALIASES])
def test_the_rest_is_refused_by_one_message_for_each_entry(name: str) -> None:
    """Until functions are carried out; the next release counts these schemes too."""
    scheme = SCHEMES[name]
    spec = load_spec(scheme["spec"])

    with pytest.raises(SpecError) as caught:
        plan_graph(spec, take_inventory(trees.tree(make_shapes(scheme["tree"]))))

    expected = [entry.location.path for entry in spec.entries if needs_more_than_aliases(entry)]
    assert [(problem.code, problem.location.path) for problem in caught.value.problems] == [
        ("lowering", path) for path in expected
    ]
