"""`lightning-tying vocab unite` and the dispatch: what is written, what is said, and what is refused."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer

from lightning_tying.cli import main
from lightning_tying.commands.vocabulary.command import COMMANDS
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.rows import load_row_map
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary
from tests.unit.vocab.families import make

TEXTS = {"es": ["la casa es vieja", "perro rojo"], "pt": ["a casa é velha", "cachorro rojo"], "en": ["dog house"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    for code, texts in TEXTS.items():
        SharedVocabulary.train({code: texts * 2}, 290).save(folder / f"{code}.json")
    make("word_piece").save(str(folder / "bert.json"))
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)

    def run(*words):
        status = main(["vocab", *map(str, words)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_a_union_is_a_row_map_members_and_one_tokenizer(run, tmp_path):
    output = tmp_path / "united"
    status, out, err = run("unite", "es.json", "pt.json", "--output", output)
    assert (status, err) == (0, "")
    rows = load_row_map(output)
    assert f"2 vocabularies with {rows.n_ids} ids read {rows.n_rows} rows: {rows.saved} saved" in out
    assert f"es and pt share {rows.saved} rows" in out
    assert UnitedVocabulary.load(output).rows == rows
    assert SharedVocabulary.load(output / "tokenizer.json").size == rows.n_rows
    assert not list(output.rglob("*.tmp"))


def test_the_same_members_give_the_same_bytes(run, tmp_path):
    for name in "ab":
        assert run("unite", "es.json", "pt.json", "--output", tmp_path / name)[0] == 0
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_any_kinds_get_a_row_map_and_the_reason_for_no_tokenizer(run, tmp_path):
    status, out, _ = run("unite", "es.json", "bert.json", "--output", tmp_path / "out")
    assert status == 0
    assert "no tokenizer.json of all: es is a BPE and bert a WordPiece" in out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["members", "rows.json", "rows.safetensors"]
    status, _, err = run("report", tmp_path / "out")
    assert status == 2 and "bert.json is not a vocabulary for this package" in err and "member's own file" in err
    assert Tokenizer.from_file(str(tmp_path / "out" / "members" / "bert.json")).to_str() == make("word_piece").to_str()


def test_what_is_there_is_kept_unless_forced(run, tmp_path):
    output = tmp_path / "out"
    assert run("unite", "es.json", "pt.json", "--output", output)[0] == 0
    before = (output / "rows.json").read_bytes()
    status, _, err = run("unite", "es.json", "bert.json", "--output", output)
    assert status == 2 and "has rows.safetensors already" in err and "--force" in err
    assert (output / "rows.json").read_bytes() == before
    assert run("unite", "es.json", "bert.json", "--output", output, "--force")[0] == 0
    assert not (output / "tokenizer.json").exists()  # it was the other union's


def test_a_dictionary_file_and_names(run, tmp_path):
    words = tmp_path / "words.tsv"
    words.write_text("es\ten\ncasa\thouse\n", encoding="utf-8")
    options = ("--policy", "dictionary", "--dictionary", words, "--names", "es,en")
    assert run("unite", "es.json", "en.json", "--output", tmp_path / "out", *options)[0] == 0
    rows = load_row_map(tmp_path / "out")
    pieces = {code: Tokenizer.from_file(f"{code}.json") for code in ("es", "en")}
    assert rows.policy == "dictionary"
    read = {rows.rows_of(code)[pieces[code].token_to_id(word)] for code, word in (("es", "Ġcasa"), ("en", "Ġhouse"))}
    assert len(read) == 1
    words.write_text("es\ten\nperro\tdog\ncasa\thouse\nperro\thouse\n", encoding="utf-8")
    status, _, err = run("unite", "es.json", "en.json", "--output", tmp_path / "other", *options)
    assert status == 2 and f"{words}:4: the word 'perro' (es) is in line 2 already" in err
    assert not (tmp_path / "other").exists()


def test_parallel_text_parts_false_friends(run, tmp_path):
    texts = tmp_path / "pairs.tsv"
    lines = [f"la {word} {n}\ta {other} {n}" for n in range(30) for word, other in [("rojo", "x"), ("casa", "casa")]]
    lines += [f"y {n}\tum rojo {n}" for n in range(30)]
    texts.write_text("\n".join(["es\tpt", *lines]), encoding="utf-8")
    out = tmp_path / "out"
    options = ("--policy", "surface_similar", "--texts", texts)
    assert run("unite", "es.json", "pt.json", "--output", out, *options)[0] == 0
    rows = load_row_map(out)
    row = {
        (code, word): rows.rows_of(code)[Tokenizer.from_file(f"{code}.json").token_to_id(word)]
        for code in ("es", "pt")
        for word in ("Ġcasa", "Ġrojo")
    }
    assert row["es", "Ġcasa"] == row["pt", "Ġcasa"] and row["es", "Ġrojo"] != row["pt", "Ġrojo"]


@pytest.mark.parametrize("options", [["surface_similar"], ["dictionary", "--dictionary", "induced"]])
def test_lines_without_translations_decide_nothing(run, tmp_path, options):
    for code in ("es", "pt"):
        (tmp_path / f"{code}.txt").write_text("".join(f"la casa {code} {n}\n" for n in range(40)), encoding="utf-8")
    words = ("unite", "es.json", "pt.json", "--output", tmp_path / "out", "--texts", tmp_path, "--policy", *options)
    status, _, err = run(*words)
    assert status == 2 and "not translations of each other" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["extend", ".", "--size", "400", "--output", "o"], ". has none of vocabulary.json, rows.json, tokenizer.json"),
        (["unite", "es.json"], "wants two vocabularies or more"),
        (["unite", "es.json", "pt.json"], "wants --output DIR"),
        (["unite", "es.json", "none.json", "--output", "o"], "none.json"),
        (["unite", "es.json", "es.json", "--output", "o"], "Two vocabularies have the name 'es'"),
        (["unite", "es.json", "pt.json", "--output", "o", "--names", "a"], "--names has 1 names"),
        (["unite", "es.json", "pt.json", "--output", "o", "--names", "a,b/c"], "'b/c' cannot name a member"),
        (["unite", "es.json", "pt.json", "--output", "o", "--policy", "surfaces"], "--policy is one of surface,"),
        (["unite", "es.json", "pt.json", "--output", "o", "--policy", "dictionary"], "belong together"),
        (["unite", "es.json", "pt.json", "--output", "o", "--threshold", "1"], "--threshold belongs to"),
        (["unite", "es.json", "pt.json", "--output", "o", "--synonyms"], "--synonyms belongs to"),
        (["unite", "es.json", "pt.json", "--output", "o", "--texts", "x"], "--texts names parallel text"),
        (["unite", "es.json", "pt.json", "--output", "o", "--weights", "1,2"], "BPE has no distribution to weigh"),
        (["unite", "es.json", "pt.json", "--output", "o", "--weights", "1"], "--weights has 1 numbers"),
        (["unite", "es.json", "pt.json", "--output", "o", "--weights", "a,b"], "give numbers with commas"),
        (["unite", "es.json", "pt.json", "--output", "o", "--frce"], "does not know --frce"),
        (["unite", "es.json", "pt.json", "--output", "es.json"], "es.json is a file"),
        (["unit"], "no `vocab unit`. Did you mean `unite`?"),
        (["what"], "Commands: train, unite, extend, trim, report, diff"),
    ],
)
def test_bad_words_are_refused_and_nothing_is_written(run, folder, words, message):
    before = sorted(folder.iterdir())
    status, out, err = run(*words)
    assert (status, out) == (2, "") and message in err and "Traceback" not in err
    assert sorted(folder.iterdir()) == before


def test_a_merge_without_its_result_is_no_panic(run, folder, tmp_path):
    content = json.loads((folder / "es.json").read_text(encoding="utf-8"))
    del content["model"]["vocab"]["".join(content["model"]["merges"][-1])]
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(content), encoding="utf-8")
    status, _, err = run("unite", "es.json", broken, "--output", tmp_path / "out")
    assert status == 2 and "broken.json" in err and "merge" in err
    assert not (tmp_path / "out").exists()


def test_ids_with_holes_get_rows(run, folder, tmp_path):
    content = json.loads(make("word_piece").to_str())
    content["model"]["vocab"] = {text: id + 9 * (id > 20) for text, id in content["model"]["vocab"].items()}
    holes = tmp_path / "holes.json"
    holes.write_text(json.dumps(content), encoding="utf-8")
    status, _, err = run("unite", "es.json", holes, "--output", tmp_path / "out")
    assert (status, err) == (0, "")
    own = load_row_map(tmp_path / "out").rows_of("holes")
    assert (own[21:30] == -1).all() and (own[:21] >= 0).all() and own[30] >= 0


@pytest.mark.parametrize("words", [[], ["--help"], ["unite"], ["unite", "--help"], ["report", "-h"], ["diff", "-h"]])
def test_help_teaches(run, words):
    status, out, _ = run(*words)
    assert status == 0 and out.startswith("usage: lightning-tying vocab")
    assert words[:1] not in ([], ["--help"]) or all(f"  {name} " in out for name in COMMANDS)
