"""`lightning-tying vocab report` and `vocab diff`: files and texts in, reports out; bad input is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_tying.commands.vocabulary.diff import diff
from lightning_tying.commands.vocabulary.report import report
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.rows import make_row_map
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from tests.unit.vocab.measures.samples import MESSAGES, TEXTS, byte_bpe

LANGUAGES = ("en", "de", "es", "zh")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of translations, a folder of lines, our vocabulary, and a tokenizer.json of another library."""
    room = tmp_path_factory.mktemp("room")
    keys = [key for key in MESSAGES["en"] if all(key in MESSAGES[language] for language in LANGUAGES)]
    rows = ["\t".join(MESSAGES[language][key] for language in LANGUAGES) for key in keys]
    more = [f"text {n} here\tText {n} hier\ttexto {n} aquí\t文本{n}" for n in range(40)]
    (room / "table.tsv").write_text("\n".join(["\t".join(LANGUAGES), *rows, *more]) + "\n")
    (room / "lines").mkdir()
    for language in LANGUAGES:
        (room / "lines" / f"{language}.txt").write_text("\n".join(TEXTS[language]))
    SharedVocabulary.train(TEXTS, 400).save(room / "own" / "tokenizer.json")
    (room / "other").mkdir()
    (room / "other" / "tokenizer.json").write_text(byte_bpe().to_str())
    members = {language: SharedVocabulary.train({language: TEXTS[language]}, 300) for language in ("en", "de")}
    united = UnitedVocabulary(members, make_row_map(members))
    united.save(room / "united")
    (room / "run").mkdir()
    (room / "run" / "vocabulary.json").write_text(united.to_json())
    (room / "run" / "run.yaml").write_text(
        f"data:\n  class_path: TextFiles\n  init_args: {{pairs: {room}/table.tsv, languages: [en, de]}}\n"
    )
    return room


@pytest.mark.parametrize("name", ["own", "own/tokenizer.json", "other"])
def test_any_tokenizer_is_reported(room: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([str(room / name), "--texts", str(room / "table.tsv"), "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {each["language"] for each in data["languages"]} == set(LANGUAGES)
    assert data["reference"] == "en" and data["premium_max"] > 1 and data["vocabulary"] == str(room / name)
    assert all(each["round_trip"] == 1 for each in data["languages"])


@pytest.mark.parametrize("name", ["united", "run"])
def test_united_vocabularies_are_reported_with_the_rows_they_save(
    room: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(room / name), "--config", str(room / "run" / "run.yaml"), "--split", "all", "--format=json"]
    assert report(words) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["rows_saved"] > 0.3 and {each["language"] for each in data["languages"]} == {"en", "de"}


def test_a_union_is_measured_in_the_languages_that_it_can_write(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--texts", str(room / "table.tsv"), "--split", "all", "--format", "json"]
    assert report([str(room / "united"), *words]) == 0
    assert {each["language"] for each in json.loads(capsys.readouterr().out)["languages"]} == {"en", "de"}
    assert diff([str(room / "own"), str(room / "united"), *words]) == 0
    assert {each["language"] for each in json.loads(capsys.readouterr().out)["languages"]} == {"en", "de"}
    with pytest.raises(ConfigError, match="has a tag for the language 'es'; they have: en, de"):
        report([str(room / "united"), *words, "--languages", "en,es"])
    members = {language: SharedVocabulary.train({language: TEXTS["en"]}, 300) for language in ("ca", "fr")}
    UnitedVocabulary(members, make_row_map(members)).save(room / "others")
    with pytest.raises(ConfigError, match="The vocabulary can write ca, fr, and the texts are in de, en, es, zh"):
        report([str(room / "others"), *words])


def test_text_names_the_worst_first_and_lines_are_not_parallel(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([str(room / "own"), "--texts", str(room / "lines"), "--split", "all"]) == 0
    told = capsys.readouterr().out
    assert "Languages, the worst first" in told
    assert "note: There are no parallel texts" in told and "premium, max" not in told


def test_a_page_goes_beside_the_vocabulary_or_where_it_is_told(
    room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--texts", str(room / "table.tsv"), "--languages", "en,de", "--format", "html"]
    assert report([str(room / "own"), *words]) == 0
    assert (room / "own" / "vocabulary_report.html").read_text().startswith("<!doctype html>")
    target = tmp_path / "new" / "page.html"
    assert report([str(room / "own"), *words, "--output", str(target)]) == 0
    assert f"written: {target}" in capsys.readouterr().out and "data:image/svg+xml" in target.read_text()


def test_the_bits_of_a_run_are_shown(room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tokenizer.json").write_text((room / "own" / "tokenizer.json").read_text())
    measured = {"bits_from": "test", "languages": [{"language": "en", "bits_per_byte": 1.5}]}
    (tmp_path / "vocabulary_report.json").write_text(json.dumps(measured))
    words = [str(tmp_path), "--texts", str(room / "table.tsv"), "--format", "json"]
    assert report(words) == 0
    data = json.loads(capsys.readouterr().out)
    assert {each["language"]: each["bits_per_byte"] for each in data["languages"]}["en"] == 1.5
    (tmp_path / "vocabulary_report.json").write_text("{")
    assert report(words) == 0 and json.loads(capsys.readouterr().out)["bits_from"] is None


def test_diff_of_two_kinds(room: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(room / "own"), str(room / "other"), "--texts", str(room / "table.tsv")]
    assert diff([*words, "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(LANGUAGES) == {each["language"] for each in data["languages"]}
    assert "<en>" in data["only_first"] and data["moved"]
    assert diff(words) == 0 and "texts cut differently" in capsys.readouterr().out
    assert diff([*words, "--format", "md", "--output", str(tmp_path / "d.md")]) == 0
    assert (tmp_path / "d.md").read_text().startswith("# What differs")


@pytest.mark.parametrize("command", [report, diff])
@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help(command: Callable[[list[str]], int], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(words) == 0
    assert f"usage: lightning-tying vocab {command.__name__}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{room}/none"], "There is no vocabulary {room}/none; give a tokenizer.json"),
        (["{room}/lines"], "{room}/lines has none of vocabulary.json, rows.json, tokenizer.json"),
        (["{room}/table.tsv"], "{room}/table.tsv is not a vocabulary: it is no JSON"),
        (["{room}/own", "--texts", "{room}/none.tsv"], "There is no {room}/none.tsv; --texts is a folder with"),
        (["{room}/own", "--texts", "{room}/lines", "--languages", "de,de_DE"], "--languages names de more than once"),
        (["{room}/own", "--texts", "{room}/table.tsv", "--languages", "en,xx"], "there is no 'xx'"),
        (["{room}/own", "--texts", "{room}/table.tsv", "--reference", "xx"], "no parallel text in 'xx'"),
        (["{room}/own", "--texts", "a", "--package", "b"], "Give one source of texts, not both --package and --texts."),
        (["{room}/own", "--split", "all", "--what"], "vocab report does not know --what."),
        (["{room}/own", "--split", "dev"], "--split is one of train, val, test, all, not dev."),
        (["{room}/own", "--format", "pdf"], "--format is one of text, json, md, html, not pdf."),
        (["--format", "md"], "vocab report wants a vocabulary first"),
        (["{room}/own", "--config", "{room}/none.yaml"], "none.yaml does not exist"),
        (["{room}/own", "--texts", "{room}/table.tsv", "--output", "{room}"], "{room} is a folder; --output names"),
    ],
)  # fmt: skip
def test_bad_words_of_report(room: Path, words: list[str], told: str) -> None:
    before = {path.name for path in room.iterdir()}
    with pytest.raises(ConfigError) as caught:
        report([word.replace("{room}", str(room)) for word in words])
    assert told.replace("{room}", str(room)) in str(caught.value)
    assert {path.name for path in room.iterdir()} == before


def test_bad_configs_of_texts(room: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    for content, told in (
        ("model: {}", "has no `data` with a class_path"),
        ("data: {class_path: Nothing}", "Nothing"),
        ("data: {class_path: lightning_tying.data.Digits}", "Digits has no texts by language"),
        ("data: {class_path: TextFiles, init_args: {folder: a, what: 4}}", "what"),
    ):
        config.write_text(content)
        with pytest.raises(ConfigError) as caught:
            report([str(room / "own"), "--config", str(config)])
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a.json"], "vocab diff wants two vocabularies"),
        (["a.json", "b.json", "c.json"], "vocab diff does not know c.json."),
        (["a.json", "--deep"], "vocab diff does not know --deep."),
        (["a.json", "b.json"], "There is no vocabulary a.json"),
    ],
)
def test_bad_words_of_diff(words: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        diff(words)
    assert told in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes('{"ä": 1}'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.json is not UTF-8 text \(byte 2\)"):
        report([str(tmp_path / "latin.json")])
    data = json.loads(byte_bpe().to_str())
    data["model"]["merges"].insert(0, ["Ġ", "never"])
    (tmp_path / "broken.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError, match=r"broken\.json is not a tokenizer that can be read: the merge"):
        report([str(tmp_path / "broken.json")])
