"""One table, three ways to write it."""

from __future__ import annotations

from lightning_tying.reports.tables import Table

TABLE = Table(("name", "cells"), (("a|b", "1"), ("<c>", "1,000")))


def test_text():
    assert TABLE.to_text() == "name  cells\n----  -----\na|b       1\n<c>   1,000"


def test_markdown():
    assert TABLE.to_markdown() == "| name | cells |\n| --- | ---: |\n| a\\|b | 1 |\n| <c> | 1,000 |"


def test_html_is_escaped():
    assert "&lt;c&gt;" in TABLE.to_html()
