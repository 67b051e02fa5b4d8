"""Every form of a source, all mistakes at once, replacements of `let`, and the words of section 3."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from lightning_tying.errors import SpecError
from lightning_tying.spec import SharingSpec, dump_spec, load_spec, spec_to_data
from lightning_tying.spec.nodes import Equation, Preset, Tie

TEXT = """
version: 1
let: {K: 3, r: 8}                                             # numbers, texts, lists of them
share:
  - tie: [encoder.embed.weight, decoder.embed.weight, head.weight]
  - encoder.layers.{l}.{name*} = block[name]                  # ALBERT: one block for all layers
  - decoder.layers.{l}.{name*} = other[name, l % K]           # cycle
  - sites: lm.layers.{l}.{name*}.weight                       # a shared weight and a delta for each use
    equals: W[name, cycle_rev(l, K)] + low_rank(min(r, d0, d1))
    where: ndim == 2
    init: {W: mean, low_rank: svd}
parameters:
  block: {lr: 0.5, weight_decay: 0}
"""


def texts(source, **options):
    with pytest.raises(SpecError) as caught:
        load_spec(source, **options)
    return [str(problem) for problem in caught.value.problems]


def test_the_page_of_the_reference():
    spec = load_spec(TEXT)
    tie, block, other, weights = spec.entries
    assert isinstance(tie, Tie) and len(tie.sites) == 3
    assert isinstance(block, Equation) and block.value.bare is not None and block.location.line == 6
    assert isinstance(other, Equation) and other.value.text == "other[name, l % K]"
    assert isinstance(weights, Equation) and weights.where is not None and str(weights.init["W"]) == "mean"
    assert spec.let == {"K": 3, "r": 8} and spec.parameters["block"].lr == 0.5


def test_all_forms_are_one_spec(tmp_path: Path):
    spec = load_spec(TEXT)
    path = tmp_path / "albert.yaml"
    path.write_text(TEXT, encoding="utf-8")
    forms = [path, str(path), spec_to_data(spec), dump_spec(spec), spec, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT]
    for form in forms:
        assert load_spec(form) == spec and hash(load_spec(form)) == hash(spec)
    assert load_spec(path).folder == tmp_path and load_spec(spec) is spec
    assert SharingSpec.load(TEXT).dump() == spec.dump() == str(spec)
    for twin in (pickle.loads(pickle.dumps(spec)), copy.deepcopy(spec)):
        assert twin == spec and twin.entries == spec.entries


def test_all_mistakes_at_once_with_their_lines():
    text = "shares: 1\nlet: {K: 3, d0: 1}\nshare:\n  - head.weight\n"
    text += "  - a.{l}.weight = W[k +\n  - {sites: 'a.{', equals: 'V[k]'}\n"
    found = texts(text, file="spec.yaml")
    assert [one.split(": ")[0] for one in found] == [f"spec.yaml:{line}" for line in (1, 2, 4, 5, 6)]


def test_a_dict_has_paths_for_lines():
    found = texts({"share": ["head.weight", {"sites": 3, "equals": "W"}], "parameters": {"Q": {"lr": -1}}, 3: 4})
    assert found[0].startswith("spec: A key is a text")
    assert found[1].startswith("share[0]: `head.weight` has no `=`.")
    assert found[2].startswith("share[1]: `sites` is a text")
    assert found[3].startswith("parameters.Q: `lr` is a number of 0 or more")
    cyclic: list[object] = []
    cyclic.append(cyclic)
    assert any("20 levels" in one for one in texts({"share": cyclic}))
    assert texts({"share": ["a = W"], "let": {"K": object()}})
    assert texts({"share": ["a = W"], "let": {"K": float("nan")}})
    assert texts({"share": ["a = W"], "let": {"K": 10**5000}})
    assert texts("share: [a = W]", let={"K": 10**5000})


def test_let_is_replaced_by_the_caller():
    spec = load_spec(TEXT, let={"K": 6})
    assert spec.let == {"K": 6, "r": 8}
    assert load_spec(load_spec(TEXT), let={"K": 6}) == spec
    assert texts(TEXT, let={"k": 6}) == ["let.k: `k` is not a name of let. Did you mean `K`? Known: K, r."]
    assert texts(load_spec(TEXT), let={"Q": 6})


@pytest.mark.parametrize("name", ["missing.yaml", "latin.yaml", "folder.yaml"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str):
    (tmp_path / "latin.yaml").write_bytes(b"share: [a.weight = \xe9]")
    (tmp_path / "folder.yaml").mkdir()
    found = texts(str(tmp_path / name))
    assert len(found) == 1 and name in found[0]
    assert "latin.yaml" in texts(tmp_path / "latim.yaml")[0]
    assert texts(tmp_path / "no" / "such.yaml")


@pytest.mark.parametrize("source", [None, 3, [1], b"share"])
def test_other_sources_are_refused(source):
    assert texts(source)


@pytest.mark.parametrize(
    "text", ["", "# nothing", "- a", "3", "share:", "share: x", "share: {a: b}", "root: 3\nshare: [a = W]"]
)
def test_files_without_entries(text):
    assert texts(text)


@pytest.mark.parametrize(
    "entry",
    [
        "3", "null", "[a]", "{}", "{sites: a}", "{equals: W}", "{sites: [], equals: W}", "{sites: a, equals: [W]}",
        "{sites: a, equals: null}", "{sites: a, equals: W, where: module +}", "{sites: a, equals: W, keep: 3}",
        "{sites: a, equals: W, grad: {scale: 1, x: 2}}", "{sites: a, equals: W, grad: 3}", "{tie: a.weight, name: d0}",
        "{tie: [a, b], name: low_rank}", "{tie: [a, b], init: {x: mean}}", "{tie: [a, b], where: l == 2}",
        "{sites: a, equals: W, init: normal(}", "{sites: a, equals: W, init: normal(-1)}",
        "{sites: a, equals: 'W[module]'}",
        "{sites: a, equals: W, init: uniform}", "{sites: a, equals: W, init: zeros(1)}", "{sites: a, equals: 'W[i0]'}",
        "{sites: a, equals: W, init: 'site(b.{q})'}", "{sites: a, equals: 'rows(W, i0 == 1 and i1)'}",
        "{sites: 'a.{l}', equals: 'W[K]', where: cycle(K, 2) == 0}", "{preset: albert}",
        "{preset: {name: lora, over: a}}",
        "{preset: {name: albert, over: 'a.{l}', groop: 2}}", "{tie: [a, b], name: K}",
        "{sites: a, equals: W, penalty: true}",
    ],
)  # fmt: skip
def test_entries_that_are_refused(entry):
    text = f"let: {{K: 2}}\nshare:\n  - {entry}\n  - b.weight = W\n"
    found = texts(text)
    assert all(one.startswith("<text>:3: ") for one in found), found


def test_options_are_kept_for_later_stages():
    spec = load_spec(
        "share:\n  - {sites: a, equals: W, grad: {scale: 0.5}, keep: true}\n"
        '  - {sites: b, equals: W, penalty: "0.1 * d0"}\n'
        '  - {preset: {name: lora, over: "x.{name*}", rank: 4}, where: ndim == 2, except: x.y}\n'
    )
    first, second, third = spec.entries
    assert isinstance(first, Equation) and first.grad.kind == "scale" and first.keep
    assert isinstance(second, Equation) and second.penalty is not None
    assert isinstance(third, Preset) and third.arguments["rank"] == 4


def test_a_name_near_another_is_warned_of():
    spec = load_spec(
        "share:\n  - 'a.{l} = block[l]'\n  - 'b.{l} = block[l]'\n  - 'c.{l} = blok[l]'\n  - 'd.{l} = block2[l]'\n"
    )
    assert [str(one) for one in spec.warnings] == [
        "<text>:4: `blok` is read in line 4 only and is near `block` (line 2). Two parameters, or one?"
    ]


def test_ten_thousand_entries_are_too_many():
    assert "10001 entries" in texts({"share": ["a = W"] * 10_001})[0]
