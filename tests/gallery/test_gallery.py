"""Every published scheme: its file is read and written back, and has the published or separately reckoned count."""

from __future__ import annotations

import json

import jsonschema
import pytest
import torch
import yaml

from lightning_tying import get_plan, make_plan, report_savings, tie
from lightning_tying.spec import load_spec, make_schema, spec_to_data
from tests import trees
from tests.gallery.schemes import CONFIGS, SCHEMES, Count, make_shapes

VALIDATOR = jsonschema.Draft202012Validator(make_schema())
COUNTS = [count for scheme in SCHEMES.values() for count in scheme.counts if count.tree]
IDS = """A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A12 A13 A14 B1 B2 B3 B4 B5 B6 B7 B8 B9 B10 B11 B12 B13 B14 B15 B16 B19 B20 B21
    C1 C2 C6 C7 C8 D1 D2 D3 D4 D5 E1 E2 E3 E4 E5 F2 F3 G1 G2 G6 Perceiver"""


def test_the_gallery_is_whole() -> None:
    assert {scheme.id for scheme in SCHEMES.values()} == set(IDS.split())
    assert set(SCHEMES) == {file.stem for file in CONFIGS.glob("*.yaml")}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_file_is_read_dumped_and_valid(name: str) -> None:
    file = SCHEMES[name].file
    text = file.read_text(encoding="utf-8")

    spec = load_spec(file)

    assert load_spec(spec.dump(), file=file) == spec
    assert load_spec(spec.dump()).dump() == spec.dump()
    assert load_spec(json.loads(json.dumps(spec_to_data(spec))), file=file) == spec
    for content in (yaml.safe_load(text), spec_to_data(spec), yaml.safe_load(spec.dump())):
        VALIDATOR.validate(content)
    assert not spec.warnings


@pytest.mark.parametrize("name", SCHEMES)
def test_ten_lines_of_equations(name: str) -> None:
    lines = SCHEMES[name].file.read_text(encoding="utf-8").splitlines()
    start = lines.index("share:")
    stop = lines.index("parameters:") if "parameters:" in lines else len(lines)
    assert stop - start - 1 <= 10


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
@pytest.mark.parametrize("count", COUNTS, ids=str)
def test_counts(count: Count) -> None:
    """On the meta device, from published dimensions; `counted` is the same number by arithmetic of its own."""
    module = trees.tree(make_shapes(count.tree))
    spec = load_spec(SCHEMES[count.scheme].file, let=dict(count.let))

    graph = make_plan(module, spec).graph

    assert trees.count(module) == count.before
    shared = sum(group.meta.numel for group in graph.groups)
    assert shared + sum(meta.numel for _, meta in graph.private) == count.after
    assert sum(group.meta.numel for group in graph.groups if not group.meta.trainable) == count.frozen
    if count.counted:
        assert eval(count.counted, {"__builtins__": {"int": int}}) == count.after
    tie(module, spec)
    assert trees.count(module) == count.after
    assert str(report_savings(get_plan(module)))


def test_zamba_7b_of_transformers() -> None:
    """One boolean unties Zamba's blocks and its head there, so that our spec ties all of them."""
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        network = transformers.ZambaForCausalLM(transformers.ZambaConfig(tie_word_embeddings=False))
    [count] = SCHEMES["zamba"].counts

    graph = make_plan(network, SCHEMES["zamba"].file).graph

    assert trees.count(network) == count.before
    shared = sum(group.meta.numel for group in graph.groups)
    assert shared + sum(meta.numel for _, meta in graph.private) == count.after
