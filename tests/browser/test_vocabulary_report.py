"""The report of a vocabulary in a real headless browser: it is drawn, it asks for nothing, and it has no error."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from lightning_tying.reports.vocabulary.html import to_html
from tests.browser.headless import Browser
from tests.unit.reports.vocabulary.samples import figures


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "vocabulary_report.html"
    path.write_text(to_html(figures()), encoding="utf-8")
    return path


def test_the_page_tells_every_language_and_asks_for_nothing(browser: Browser, page: Path) -> None:
    dom, console, requests = browser.watch(page)
    text = html.unescape(re.sub(r"<[^>]*>", " ", dom))
    for each in figures().languages:
        assert f" {each.premium:.2f} " in text
    assert "en: the reference" in text and "False friends" in text
    assert dom.count("<img") == 3 and "<script" not in dom.lower()
    assert not console and requests == set()


def test_the_pictures_are_drawn(browser: Browser, page: Path) -> None:
    """Without its pictures the page has about 40 kB at this size."""
    whole = browser.draw(page, 1300, 2200)
    page.write_text(re.sub(r"<img[^>]*>", "", page.read_text()), encoding="utf-8")
    assert whole > browser.draw(page, 1300, 2200) + 30_000
