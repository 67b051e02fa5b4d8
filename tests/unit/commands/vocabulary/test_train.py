"""`lightning-tying vocab train`: what lies in the folder, all or nothing, and every mistake by its file and line."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from lightning_tying.cli import main
from lightning_tying.commands.examples import find_configs
from lightning_tying.commands.vocabulary import train_files
from lightning_tying.commands.vocabulary.train_config import read_config
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.rows import load_row_map
from tests.slow import slow

PLACES = {"en": ["the house", "the garden", "the way"], "de": ["das Haus", "der Garten", "der Weg"]}
COLORS = {"en": ["red", "green", "large", "small"], "de": ["rot", "grün", "groß", "klein"]}
VERBS = {"en": ["is", "was", "becomes", "stays"], "de": ["ist", "war", "wird", "bleibt"]}


def sentences(language):
    return [
        f"{place} {verb} {color}"
        for place in PLACES[language]
        for verb in VERBS[language]
        for color in COLORS[language]
    ]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "pairs.tsv"
    rows = zip(sentences("en"), sentences("de"), strict=True)
    path.write_text("en\tde\n" + "".join(f"{en}\t{de}\n" for en, de in rows), encoding="utf-8")
    return path


def config(folder, table, strategy, **more):
    path = folder / f"{strategy}.yaml"
    content = {"corpus": {"pairs": str(table)}, "languages": "all", "strategy": strategy, "size": 330, **more}
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(*words):
    return main(["vocab", "train", *map(str, words)])


@pytest.mark.parametrize("strategy", ["joint", "parity", "unigram", "clustered"])
def test_one_vocabulary_its_report_and_what_made_it(tmp_path, table, capsys, strategy):
    folder = tmp_path / "out"
    assert run("--config", config(tmp_path, table, strategy), "--output", folder) == 0
    assert {path.name for path in folder.iterdir()} == {
        "tokenizer.json", "report.json", "report.md", "report.html", "vocab.yaml",
    }  # fmt: skip
    vocabulary = SharedVocabulary.load(folder / "tokenizer.json")
    made = yaml.safe_load((folder / "vocab.yaml").read_text(encoding="utf-8"))
    assert (made["strategy"], made["languages"]) == (strategy, ["de", "en"])
    assert made["made"]["digest"] == vocabulary.digest
    assert made["made"]["versions"]["tokenizers"]
    assert {each["language"] for each in json.loads((folder / "report.json").read_text())["languages"]} == {"de", "en"}
    assert f"{vocabulary.size} rows for 2 languages" in capsys.readouterr().out
    again = tmp_path / "again"
    assert run("--config", folder / "vocab.yaml", "--output", again) == 0
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in folder.iterdir()
    }


def test_a_vocabulary_of_each_language_with_its_row_map(tmp_path, table):
    folder = tmp_path / "out"
    assert run("--config", config(tmp_path, table, "per_language", size=290), "--output", folder) == 0
    members = {name: SharedVocabulary.load(folder / "members" / f"{name}.json") for name in ("de", "en")}
    rows = load_row_map(folder / "rows.safetensors", members)
    assert rows.n_rows < sum(member.size for member in members.values())
    assert not (folder / "tokenizer.json").exists()
    assert run("--config", config(tmp_path, table, "joint"), "--output", folder, "--force") == 0
    assert (folder / "tokenizer.json").exists() and not (folder / "rows.safetensors").exists()
    assert not list((folder / "members").iterdir())


@slow  # what is learned is compared between processes in tests/unit/vocab/training/test_strategies.py
def test_same_bytes_in_another_process(tmp_path, table):
    path, here, there = config(tmp_path, table, "parity"), tmp_path / "here", tmp_path / "there"
    assert run("--config", path, "--output", here) == 0
    words = ["vocab", "train", "--config", str(path), "--output", str(there)]
    code = f"import sys; from lightning_tying.cli import main; sys.exit(main({words!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, timeout=200)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (here, there))
    assert first == second


def test_words_on_the_command_line_go_before_the_file(tmp_path, table):
    path = config(tmp_path, table, "joint")
    words = {"size": "400", "parity.variant": "window", "languages": "[de]", "sampling.alpha": "1"}
    read = read_config(path, words)
    assert (read.size, read.parity.variant, read.languages, read.sampling.alpha) == (400, "window", ["de"], 1.0)
    assert read_config(path, {}).languages == "all"


def test_the_shipped_configs_are_read():
    files = sorted((find_configs() / "vocab").glob("*.yaml"))
    assert [read_config(file, {}).strategy for file in files] == [file.stem for file in files]
    assert {file.stem for file in files} == {"joint", "parity", "unigram", "per_language", "clustered"}


def test_all_mistakes_of_a_config_at_once_with_their_lines(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "corpus: {pakage: django, mask_placeholders: 3}\nstrategy: partiy\nsize: many\nsampling:\n  alpha: 7\n"
        "languages: [de, fr, de_DE, '?']\nparity: 3\nlanguage: de\n"
    )
    with pytest.raises(ConfigError) as caught:
        read_config(path, {"clusters": "no", "parity.varant": "base"})
    text = str(caught.value)
    for said in (
        f"{path}:1: There is no key `corpus.pakage`. Did you mean `package`?",
        f"{path}:1: `corpus.mask_placeholders` is true or false",
        f"{path}:2: `strategy` is one of",
        "Did you mean `parity`?",
        f"{path}:3: `size` is a whole number, and this is many",
        f"{path}:6: `languages` names de more than once",
        "'?' is no code",
        f"{path}:7: parity is a mapping of keys",
        f"{path}:8: There is no key `language`. Did you mean `languages`?",
        "--clusters:1: `clusters` is a whole number",
        "There is no key `parity.varant`. Did you mean `variant`?",
    ):
        assert said in text, said


def test_mistakes_of_values_have_lines_too(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("sampling:\n  alpha: 7\nparity: {window_size: 0, variant: null}\n")
    with pytest.raises(ConfigError) as caught:
        read_config(path, {"size": "many"})
    assert f"{path}:2: sampling.alpha is 7.0" in str(caught.value)
    assert f"{path}:3: parity.window_size is 0" in str(caught.value)
    assert "--size:1: `size` is a whole number" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        read_config(path, {"sampling.policy": "wieghts", "sampling.weights": "{de: 1}", "parity.window_size": "1"})
    assert len(str(caught.value).splitlines()) == 1  # what follows from a mistake is none


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("de.txt", b"gut\nschlecht \xff\n", "de.txt:2 is no UTF-8"),
        ("de.txt", b"gut\n\nb\0se\n", "de.txt:3 has a NUL byte"),
        ("de.txt", b"gut\n" + b"a" * 10_000_000 + b"\n", "de.txt:2 has 10,000,000 characters"),
        ("de_DE.txt", b"gut\n", "both the language 'de'"),
        ("fr.txt", b"\n", "no text to learn from in fr"),
        ("it.txt", b"\n", "no text to learn from in it"),
        ("xx.md", b"", "there is no 'fr'"),
    ],
)
def test_bad_texts_name_the_file_and_leave_nothing(tmp_path, capsys, name, content, said):
    texts = tmp_path / "texts"
    texts.mkdir()
    for language in ("de",) if name == "xx.md" else ("de", "fr"):
        (texts / f"{language}.txt").write_text("".join(f"Satz Nummer {number}\n" for number in range(50)))
    (texts / name).write_bytes(content)
    path = tmp_path / "c.yaml"
    languages = "all" if name == "it.txt" else "[de, fr]"
    path.write_text(f"corpus: {{texts: texts}}\nlanguages: {languages}\nsize: 300\n")
    assert run("--config", path, "--output", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--size", "100"], "100 rows is too small"),
        (["--strategy", "clustered", "--clusters", "3"], "cannot be 3 clusters of 2 languages"),
        (["--strategy", "unigram", "--pretokenizer", "gpt2"], "cuts text as SentencePiece does"),
        (["--corpus.texts", "x"], "`corpus` has texts and pairs"),
        (["--languages", "[de, xx]"], "there is no 'xx'"),
        (["--sizes", "3"], "no key `sizes`. Did you mean `size`?"),
        (["stray"], "does not know what stray is for"),
        (["--size"], "--size needs a value"),
    ],
)
def test_bad_requests_leave_nothing(tmp_path, table, capsys, more, said):
    assert run("--config", config(tmp_path, table, "joint"), "--output", tmp_path / "out", *more) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_parity_needs_messages_in_all_languages(tmp_path, capsys):
    for language in ("de", "en"):
        (tmp_path / f"{language}.txt").write_text("\n".join(f"{language} {number}" for number in range(90)))
    path = tmp_path / "c.yaml"
    path.write_text("corpus: {texts: .}\nlanguages: all\nstrategy: parity\nsize: 300\n")
    assert run("--config", path, "--output", tmp_path / "out") == 2
    assert "messages that all of them have; there are 0" in capsys.readouterr().err


def test_an_output_that_is_there_is_kept(tmp_path, table, capsys):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    path = config(tmp_path, table, "joint")
    assert run("--config", path, "--output", folder) == 2
    assert "mine.txt already" in capsys.readouterr().err
    assert run("--config", path, "--output", folder, "--force") == 0
    assert (folder / "mine.txt").read_text() == "mine"
    assert run("--config", path, "--output", folder / "mine.txt") == 2
    assert run("--config", path, "--output", folder / "mine.txt" / "below") == 2
    assert capsys.readouterr().err.count("mine.txt is a file; --output names a folder") == 2


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_learned(tmp_path, table, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    monkeypatch.setattr(train_files, "make_files", lambda *_: pytest.fail("learned"))
    assert run("--config", config(tmp_path, table, "joint"), "--output", tmp_path / "out" / "deep") == 2
    assert (
        f"{tmp_path / 'out' / 'deep'} cannot be written: the folder {tmp_path} is read-only" in capsys.readouterr().err
    )


def test_nothing_is_written_when_the_report_fails(tmp_path, table, monkeypatch, capsys):
    def fail(*_):
        raise ConfigError("no report")

    monkeypatch.setattr(train_files, "to_html", fail)
    assert run("--config", config(tmp_path, table, "joint"), "--output", tmp_path / "out") == 2
    assert "no report" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_without_config_or_output(tmp_path, capsys):
    assert run("--config", "no.yaml") == 2
    assert run("--config", tmp_path / "no.yaml", "--output", tmp_path / "out") == 2
    assert "no.yaml cannot be read" in capsys.readouterr().err
    assert run("--help") == 0
    assert "usage: lightning-tying vocab train" in capsys.readouterr().out
