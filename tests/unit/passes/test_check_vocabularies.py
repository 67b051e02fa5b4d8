"""Tables of two vocabularies: a tie by index is refused with the reason, a checked row map is let through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightning_tying import make_plan
from lightning_tying.errors import SpecError
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.passes.check_vocabularies import SiteVocabulary, check_vocabularies

DE, EN = "aa" * 32, "bb" * 32
VOCABULARIES = {
    "embed.de.weight": SiteVocabulary("de", DE),
    "embed.en.weight": SiteVocabulary("en", EN),
    "head.de.weight": SiteVocabulary("de", DE),
    "head.de.bias": SiteVocabulary("de", DE),
    "head.en.bias": SiteVocabulary("en", EN),
}


def save_rows(folder: Path, name: str = "rows", digests: Mapping[str, str] | None = None, first: int = 0) -> None:
    rows = {"de": [first, 1, 2, 3], "en": [0, 2, 4, 5]}
    save_file({key: torch.tensor(value) for key, value in rows.items()}, folder / f"{name}.safetensors", {"rows": "6"})
    (folder / f"{name}.json").write_text(json.dumps({"digests": digests or {"de": DE, "en": EN}}))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    save_rows(tmp_path)
    return tmp_path


def plan(*equations: str) -> SharingGraph:
    module = nn.Module()
    with torch.device("meta"):
        module.embed = nn.ModuleDict({lang: nn.Embedding(4, 6) for lang in ("de", "en")})
        module.head = nn.ModuleDict({lang: nn.Linear(6, 4) for lang in ("de", "en")})
    narrow = {"parameters": {"P": {"shape": [3, 6]}}} if any("@ P" in str(each) for each in equations) else {}
    spec = {"share": list(equations), **narrow}
    return make_plan(module, spec).graph


def refuse(graph: SharingGraph, vocabularies: Mapping[str, SiteVocabulary] = VOCABULARIES) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        check_vocabularies(graph, vocabularies)
    return [(problem.code, problem.text) for problem in caught.value.problems]


BY_INDEX = [
    "embed.{lang}.weight = vocab",
    "embed.{lang}.weight = 2 * vocab",
    "embed.{lang}.weight = vocab @ P[lang]",
    "embed.{lang}.weight = scale(vocab)",
    "embed.{lang}.weight = vocab + low_rank(2)",
    "embed.{lang}.weight = concat(vocab, private[lang], dim=1)",
    "embed.{lang}.weight = rows(Q, i0 // 2) * rows(R, i0 % 2)",
    "embed.{lang}.weight = rows(tables, i0 + 1)",
    "head.{lang}.bias = bias",
]


@pytest.mark.parametrize("equation", BY_INDEX)
def test_one_number_for_two_words_is_refused(equation: str) -> None:
    found = refuse(plan(equation))
    assert {code for code, _ in found} == {"88"}
    for _, text in found:
        assert "unrelated word" in text
        assert "lightning-tying vocab unite" in text
        assert "#de')" in text and "#en')" in text


def test_the_message_names_table_sites_and_what_to_write() -> None:
    [(_, text)] = refuse(plan("embed.{lang}.weight = vocab"))
    assert text == (
        "`vocab` is read by index at embed.de.weight (de) and embed.en.weight (en), which have two vocabularies: a "
        "number is one word in the one and an unrelated word in the other, and these would be tied. Unite the "
        "vocabularies (lightning-tying vocab unite) and write "
        "embed.de.weight = rows(vocab, map='vocab/rows.safetensors#de'); "
        "embed.en.weight = rows(vocab, map='vocab/rows.safetensors#en')."
    )


def test_a_tie_without_a_name_is_refused_too() -> None:
    module = plan({"tie": ["embed.de.weight", "embed.en.weight"]})  # type: ignore[arg-type]
    [(code, text)] = refuse(module)
    assert code == "88"
    assert text.startswith("The table of embed.de.weight is read by index")


ROWS = "rows(vocab, map='rows.safetensors#{lang}')"
ALLOWED = [
    "embed.{lang}.weight = " + ROWS,
    "embed.{lang}.weight = " + ROWS + " @ P[lang]",
    "embed.{lang}.weight = concat(" + ROWS + ", private[lang], dim=1)",
    "embed.{lang}.weight = rows(rows(Q, i0 // 2) * rows(R, i0 % 2), map='rows.safetensors#{lang}')",
    "head.{lang}.bias = " + ROWS.replace("vocab", "bias"),
    "embed.{lang}.weight = rows(vocab, i0 + 4 * (lang == 'en'))",
    "embed.{lang}.weight = E[lang] @ P",
    "embed.{lang}.weight = E[lang]",
    "{part:embed|head}.de.weight = vocab",
    "embed.{lang}.weight = rows(U, hash(i0, lang) % 3)",
]


@pytest.mark.parametrize("equation", ALLOWED)
def test_what_ties_no_unrelated_words_is_let_through(equation: str) -> None:
    check_vocabularies(plan(equation), VOCABULARIES)


def test_one_vocabulary_under_two_names_may_be_tied_by_index() -> None:
    same = {site: SiteVocabulary(each.name, DE) for site, each in VOCABULARIES.items()}
    check_vocabularies(plan("embed.{lang}.weight = vocab"), same)


def test_names_decide_where_digests_are_not_known() -> None:
    named = {"embed.de.weight": SiteVocabulary("source"), "embed.en.weight": SiteVocabulary("target")}
    assert refuse(plan("embed.{lang}.weight = vocab"), named)[0][0] == "88"
    check_vocabularies(plan("embed.{lang}.weight = " + ROWS), named)


def test_a_map_beside_an_index_is_refused(folder: Path) -> None:
    """The one site reads rows 0 to 3 as they are, the other by the map."""
    small = {"de": torch.tensor([0, 1, 2, 3]), "en": torch.tensor([0, 2, 3, 1])}
    save_file(small, folder / "rows.safetensors", {"rows": "4"})
    graph = plan("embed.de.weight = vocab", "embed.en.weight = rows(vocab, map='rows.safetensors#en')")
    assert [code for code, _ in refuse(graph)] == ["88"]


@pytest.mark.parametrize(
    "equation",
    [
        "embed.{lang}.weight = rows(vocab, map='rows.safetensors#de')",
        "embed.en.weight = rows(vocab, map='rows.safetensors#de')",
    ],
)
def test_the_map_of_another_tokenizer_is_refused(equation: str) -> None:
    [(code, text)] = refuse(plan(equation))
    assert code == "89"
    assert text.startswith("rows.safetensors#de numbers the ids of another tokenizer than embed.en.weight has, that of")
    assert "(SHA-256 aaaa… against bbbb…)" in text
    assert "rows.safetensors#‹member›" in text


def test_a_row_map_of_retrained_tokenizers_is_refused(folder: Path) -> None:
    save_rows(folder, digests={"de": DE, "en": "cc" * 32})
    assert [code for code, _ in refuse(plan("embed.{lang}.weight = " + ROWS))] == ["89"]


def test_two_row_maps_on_one_table_are_refused(folder: Path) -> None:
    (folder / "other").mkdir()
    save_rows(folder / "other", first=5)
    graph = plan(
        "embed.de.weight = rows(vocab, map='other/rows.safetensors#de')",
        "embed.en.weight = rows(vocab, map='rows.safetensors#en')",
    )
    [(code, text)] = refuse(graph)
    assert code == "90"
    assert "other/rows.safetensors#de and rows.safetensors#en are members of two row maps" in text


def test_every_table_is_told_once() -> None:
    found = refuse(plan("embed.{lang}.weight = vocab", "head.{lang}.bias = bias"))
    assert [code for code, _ in found] == ["88", "88"]
