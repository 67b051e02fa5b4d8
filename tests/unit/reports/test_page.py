"""Every report has one look: the pages of sharing, stability and vocabularies carry the same style and policy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch import nn

from lightning_tying import tie
from lightning_tying.errors import ConfigError
from lightning_tying.reports.page import page, write_page, write_sentence
from lightning_tying.reports.reckoning.reckon_run import reckon_run
from lightning_tying.reports.sharing_page import make_page
from lightning_tying.reports.stability.history import History
from lightning_tying.reports.stability.html import render_report
from lightning_tying.reports.vocabulary.html import to_html
from tests.unit.reports.vocabulary.samples import figures


def test_three_reports_have_one_style() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tie(model, {"share": [{"tie": ["0.weight", "1.weight"]}]})
    pages = [make_page(reckon_run(model), []), render_report(History(())), to_html(figures())]
    heads = {re.sub(r"<title>.*?</title>", "", each.partition("<body>")[0]) for each in pages}
    assert len(heads) == 1 and "default-src 'none'" in heads.pop()


def test_titles_are_escaped_and_code_is_marked() -> None:
    assert "<title>a &lt;b&gt;</title>" in page("a <b>", "")
    assert write_sentence("use `a < b`") == "use <code>a &lt; b</code>"


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "page.html"
    write_page("one", target)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_page("two", target / "below.html")
    assert target.read_text() == "one" and [path.name for path in target.parent.iterdir()] == ["page.html"]
