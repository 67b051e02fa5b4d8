"""Plain text files and tables of translations."""

import pytest

from lightning_tying.data.text_folder import find_language_files, read_lines, read_table
from lightning_tying.errors import ConfigError


def test_language_files(tmp_path):
    for name in ("de.txt", "pt_BR.txt", "notes.md", "readme.txt"):
        (tmp_path / name).write_text("x")
    assert list(find_language_files(tmp_path)) == ["de", "pt-BR"]


def test_lines(tmp_path):
    path = tmp_path / "de.txt"
    path.write_bytes("\ufeffeins\r\n\n zwei\u2028halb \n".encode())
    assert read_lines(path) == ["eins", " zwei\u2028halb "]


def test_tables_agree(tmp_path):
    (tmp_path / "a.tsv").write_text("en\tde\tpt_BR\nYes\tJa\tSim\nNo\tNein\t\n")
    (tmp_path / "a.jsonl").write_text('{"en": "Yes", "de": "Ja", "pt_BR": "Sim"}\n{"en": "No", "de": "Nein"}\n')
    expected = {"en": {"Yes": "Yes", "No": "No"}, "de": {"Yes": "Ja", "No": "Nein"}, "pt-BR": {"Yes": "Sim"}}
    assert read_table(tmp_path / "a.tsv") == read_table(tmp_path / "a.jsonl") == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", r"must end in \.tsv or \.jsonl"),
        ("a.tsv", "", "must be language codes"),
        ("a.tsv", "en\tde\n", "holds no messages"),
        ("a.tsv", "Yes please\tJa\n", "must be language codes"),
        ("a.tsv", "de\ten\tde_DE\nJa\tYes\tJa\n", r"a\.tsv:1 has two columns of the language 'de'"),
        ("a.tsv", "en\tde\n\nYes\tJa\nNo\n", "row 4 has 1 cells"),
        ("a.tsv", "en\tde\nYes\n", "row 2 has 1 cells, the first has 2"),
        ("a.jsonl", "{", "row 1 is no JSON"),
        ("a.jsonl", "[]", "row 1 must be an object"),
        ("a.jsonl", '{"en": 1}', "row 1: 'en' must be a language code with a text"),
        ("a.jsonl", "", "holds no messages"),
    ],
)
def test_bad_tables_are_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_table(tmp_path / name)


def test_unreadable_files(tmp_path):
    with pytest.raises(ConfigError, match=r"gone cannot be read .*one file per language"):
        find_language_files(tmp_path / "gone")
    with pytest.raises(ConfigError, match="holds no text files"):
        find_language_files(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        read_table(tmp_path / "gone.tsv")
    (tmp_path / "de.txt").write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match="no UTF-8 text"):
        read_lines(tmp_path / "de.txt")
