"""The report of a run in a real headless browser: it is drawn, it asks for nothing, and it has no error."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from lightning_tying.reports.stability.html import write_report
from tests.browser.headless import Browser
from tests.unit.reports.stability.samples import opposed, record

SAVINGS = {"before": {"parameters": 400}, "after": {"parameters": 100}}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "stability.html"
    write_report([record(step, "block[q]", opposed(6, step)) for step in (0, 50, 100)], SAVINGS, path)
    return path


def test_the_page_shows_advice_and_pictures_without_a_request_or_an_error(browser: Browser, page: Path):
    dom, console, requests = browser.watch(page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", dom))
    assert "400 -> 100 parameters (75 % saved)" in text
    assert "conflict in 100 % of samples; consider cycle(l, 2)" in text
    assert dom.count("<img") == 2 and "<script" not in dom.lower()
    assert not console and requests == set()


def test_the_log_would_show_a_console_error_and_a_request(browser: Browser, tmp_path: Path):
    """The checks above can fail: a page with both is caught."""
    page = tmp_path / "bad.html"
    page.write_text("<script>console.error('broken')</script><img src='http://127.0.0.1:9/x.png'>")
    _, console, requests = browser.watch(page)
    assert "broken" in console and requests == {"http://127.0.0.1:9/x.png"}


def test_the_pictures_are_drawn(browser: Browser, page: Path):
    """A page whose pictures were broken would be small: the heat map alone is some ten thousand bytes."""
    assert browser.draw(page, 1300, 1700) > 60_000


def test_the_pages_numbers_are_those_of_the_records(browser: Browser, page: Path):
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", browser.open(page))
    row = cells[cells.index("block[q]") :]
    assert row[1:3] == ["6", "3"] and row[4:6] == ["0.17", "60 %"]  # 1 / 6, and 9 of the 15 pairs
