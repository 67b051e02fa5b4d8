"""docs/reference/language.md is true: specs are read, planned or refused; errors are those of the golden files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml

from lightning_tying import SharingSpec, make_plan
from lightning_tying.algebra.expression import Call, Expression, FileMap, ParameterName, Read
from lightning_tying.errors import SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import DerivedSite, SharingGroup, TensorMeta, Use, Written
from lightning_tying.graph.reading.map_files import check_map
from lightning_tying.models import DecoderLM, EncoderDecoder
from lightning_tying.passes.check_vocabularies import SiteVocabulary, check_vocabularies
from lightning_tying.spec import dump_spec, load_spec
from lightning_tying.spec.mistakes import Mistake
from tests.docs.reading import LANGUAGE, read_messages, read_yaml_blocks

GOLDEN = Path(__file__).parents[1] / "golden"
MESSAGES = read_messages()
SPECS = [text for text in read_yaml_blocks(LANGUAGE.read_text(encoding="utf-8")) if "share:" in text]


def read_golden() -> dict[str, list[str]]:
    """The messages that the code gives, by their number."""
    found: dict[str, list[str]] = {}
    for name in ("spec_errors.yaml", "graph_errors.yaml"):
        for case in yaml.safe_load((GOLDEN / name).read_text(encoding="utf-8")):
            found.setdefault(case["number"], []).append(case["message"])
    return found | {"78": [tell_of_another_map()], **tell_of_vocabularies()}


def tell_of_another_map() -> str:
    """What a checkpoint says of a map that has changed; no spec says it."""
    with pytest.raises(Mistake) as caught:
        check_map(FileMap("maps/de.json", "9c07", (1,), 1, bytes(8)), Path(__file__))
    return re.sub(r"SHA-256 [0-9a-f]{4}…", "SHA-256 1f3a…", caught.value.text)  # this file's own, which changes


def tell_of_vocabularies() -> dict[str, list[str]]:
    """What a run says of the tables of two vocabularies; no spec says it."""
    sites = {f"embed.{lang}.weight": SiteVocabulary(lang, digest * 32) for lang, digest in (("de", "aa"), ("en", "bb"))}

    def read(path: str) -> Call:
        digest = sites[f"embed.{path[-2:]}.weight"].digest
        index_map = FileMap(path, path[:5], (4,), 4, bytes(32), digest)
        return Call((4, 2), "rows", (Read((4, 2), ParameterName("vocab")),), (("map", index_map),))

    def tell(values: dict[str, Expression]) -> str:
        uses = tuple(Use(site, bare=site not in values, written=Written("vocab")) for site in sites)
        derived = tuple(DerivedSite(site, value, TensorMeta((4, 2))) for site, value in values.items())
        group = SharingGroup(ParameterName("vocab"), uses, TensorMeta((4, 2)))
        with pytest.raises(SpecError) as caught:
            check_vocabularies(SharingGraph((group,), derived=derived), sites)
        [problem] = caught.value.problems
        return problem.text

    own, other = "rows.safetensors#", "other/rows.safetensors#"
    values = {
        "88": {},
        "89": {f"embed.{lang}.weight": read(f"{own}de") for lang in ("de", "en")},
        "90": {"embed.de.weight": read(f"{other}de"), "embed.en.weight": read(f"{own}en")},
    }
    return {number: [tell(dict(each))] for number, each in values.items()}


def says_the_same(written: str, message: str) -> bool:
    """Whether two messages differ in numbers only; `…` and a device in the page stand for anything."""
    parts = [re.escape(re.sub(r"\d+", "0", part)) for part in written.replace("cuda:0", "…").split("…")]
    return re.fullmatch(".*".join(parts), re.sub(r"\d+", "0", message), flags=re.DOTALL) is not None


@pytest.mark.parametrize("number", MESSAGES)
def test_the_table_says_what_the_code_says(number: str) -> None:
    golden = read_golden().get(number, [])
    for written in MESSAGES[number].split(" · "):
        assert any(says_the_same(written, message) for message in golden), f"{written}\nis none of {golden}"


def test_every_number_of_the_code_is_in_the_table() -> None:
    assert {number for number in read_golden() if number.isdigit()} <= set(MESSAGES)


def test_the_table_counts_without_gaps() -> None:
    assert list(MESSAGES) == [str(number) for number in range(1, len(MESSAGES) + 1)]


@pytest.mark.parametrize("text", SPECS)
def test_specs_are_read_and_canonical_forms_stay(text: str) -> None:
    spec = load_spec(text)
    assert load_spec(dump_spec(spec)) == spec


def test_the_deltas_of_the_first_example_are_planned() -> None:
    """A shared weight and a delta for each use, by hand for six layers of two matrices of one block."""
    with torch.device("meta"):
        model = DecoderLM(vocab_size=100, dim=32, depth=6, heads=2)
    spec = yaml.safe_load(SPECS[0])
    spec["share"] = [
        {**spec["share"][-1], "sites": "layers.{l}.{name*}.weight", "where": "ndim == 2 and 'mlp.' in name"}
    ]
    del spec["parameters"]
    graph = make_plan(model, spec).graph
    matrices = [name for name, value in model.named_parameters() if ".mlp." in name and value.ndim == 2]
    assert [derived.site for derived in graph.derived] == matrices
    inits = {group.name.family: str(group.policy.init) for group in graph.groups if group.uses[0].slot}
    assert inits == {"W": "mean", "low_rank.A": "svd", "low_rank.B": "svd"}


def test_the_aliases_of_the_first_example_are_planned() -> None:
    spec = yaml.safe_load(SPECS[0])
    spec["share"] = [entry for entry in spec["share"] if not (isinstance(entry, dict) and "equals" in entry)]
    with torch.device("meta"):
        model = EncoderDecoder(vocab_size=100, dim=32, depth=6, heads=2, hidden=64)
    families = {group.name.family for group in make_plan(model, spec).graph.groups}
    assert {"block", "other"} <= families


@pytest.mark.parametrize(
    ("index", "blocks"),
    [
        ("cycle(l, 3)", [0, 1, 2, 0, 1, 2]),
        ("sequence(l, 4)", [0, 0, 1, 2, 2, 3]),
        ("cycle_rev(l, 4)", [0, 1, 3, 2, 1, 0]),
        ("middle_cycle(l, 3)", [0, 1, 2, 3, 1, 4]),
        ("middle_sequence(l, 2)", [0, 1, 1, 2, 2, 3]),
        ("sandwich(l)", [0, 1, 1, 1, 1, 2]),
    ],
)
def test_layer_assignments_follow_their_formulas(index: str, blocks: list[int]) -> None:
    """Section 4.1, reckoned by hand for six layers."""
    with torch.device("meta"):
        model = DecoderLM(vocab_size=10, dim=8, depth=6, heads=2)
    plan = make_plan(model, SharingSpec.load(f'share: ["layers.{{l}}.norm1.weight = W[{index}]"]'))
    found = {use.site: group.name.index[0] for group, use in plan.graph.uses() if group.name.family == "W"}
    assert [found[f"layers.{layer}.norm1.weight"] for layer in range(6)] == blocks


def test_mistakes_of_all_stages_are_told_at_once() -> None:
    """Section 11: a stage leaves out what an earlier one refused, and nothing else."""
    with torch.device("meta"):
        model = DecoderLM(vocab_size=10, dim=8, depth=6, heads=2)
    with pytest.raises(SpecError) as caught:
        make_plan(model, {"share": ["layers.{l}.norm1.weight = W[k]", "layers.{l}.nrom2.weight = V[l]"]})
    assert [problem.code for problem in caught.value.problems] == ["46", "25"]
