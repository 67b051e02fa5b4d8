"""Dictionaries in tables: what is read, and mistakes with file and line."""

from __future__ import annotations

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab.dictionaries import read_tsv


def _write(tmp_path, content):
    path = tmp_path / "words.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_groups_cells_comments_and_forms(tmp_path):
    content = "\ufeffde\ten\tfr\r\n# animals\n\nHund|Köter | Hund\tdog\t\r\nKatze\tcat\tchat\nHaus\t\t\n"
    assert read_tsv(_write(tmp_path, content)) == (
        {"de": ("Hund", "Köter"), "en": ("dog",)},
        {"de": ("Katze",), "en": ("cat",), "fr": ("chat",)},
        {"de": ("Haus",)},
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("de\ten\nHund\tdog\nx\ty\nHund\thound\n", r"words\.tsv:4: the word 'Hund' \(de\) is in line 2 already"),
        ("de\ten\no\u0308\ta\nö\tb\n", r"words\.tsv:3: the word 'ö' \(de\) is in line 2 already"),
        ("de\ten\nHund\n", r"words\.tsv:2: 1 cells, and the first line names 2 languages"),
        (b"de\ten\nHund\tdog\n\xff\tx\n", r"words\.tsv:3: the line is not UTF-8 \(byte 0\)"),
        ("de\ten\nHu\0nd\tdog\n", r"words\.tsv:2: the line has a NUL byte"),
        ("de\tde\nHund\tdog\n", r"words\.tsv:1: the language 'de' has two columns"),
        ("de\nHund\n", r"words\.tsv:1: the first line of a dictionary"),
        ("de\t\nHund\tdog\n", r"words\.tsv:1: the first line of a dictionary"),
        ("", r"words\.tsv:1: the first line of a dictionary"),
        ("de\ten\n", "no groups of words"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path, content, message):
    with pytest.raises(ConfigError, match=message):
        read_tsv(_write(tmp_path, content))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.tsv cannot be read: No such file"):
        read_tsv(tmp_path / "none.tsv")


def test_a_line_of_ten_megabytes_is_one_word(tmp_path):
    long = "a" * 10_000_000
    (group,) = read_tsv(_write(tmp_path, f"de\ten\n{long}\tdog\n"))
    assert group["de"] == (long,)
