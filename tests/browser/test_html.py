"""What a notebook and `plan --format html` show, looked at in a real headless browser."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from lightning_tying import make_plan
from lightning_tying.models import DecoderLM
from tests.browser.headless import Browser

SPEC = """
share:
  - tie: [embed.weight, head.weight]
  - layers.{l}.{name*} = block[name, cycle(l, 2)]
"""
DERIVED = """
share:
  - {sites: "layers.{l}.{name*}", equals: "block[name, cycle(l, 2)] + low_rank(2)", where: ndim == 2}
  - {sites: "embed.weight", equals: "rows(T, i0 % 20 * (i0 < 50)) * (1 + s)"}
  - {sites: "head.weight", equals: "rows(T, i0 % 20)", penalty: 0.1}
parameters:
  T: {shape: [20, 16], frozen: true}
  s: {shape: []}
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return _write_page(tmp_path, SPEC)


def _write_page(folder: Path, spec: str) -> Path:
    plan = make_plan(DecoderLM(vocab_size=100, dim=16, depth=4, heads=2), spec)
    file = folder / "plan.html"
    shown = f"<!doctype html><meta charset=utf-8><title>plan</title><body>{plan._repr_html_()}"
    file.write_text(shown, encoding="utf-8")
    return file


def test_the_browser_shows_every_group_and_runs_nothing(browser: Browser, page: Path) -> None:
    dom = browser.open(page)
    text = re.sub(r"<[^>]*>", " ", dom)
    for name in ("block[attn.q.weight, 0]", "block[mlp.down.weight, 1]", "embed.weight", "head.weight"):
        assert name in text
    assert "<script" not in dom.lower()
    assert dom.count("<table") == dom.count("</table>") >= 1


def test_the_browser_shows_derived_sites(browser: Browser, tmp_path: Path) -> None:
    dom = browser.open(_write_page(tmp_path, DERIVED))
    text = html.unescape(re.sub(r"<[^>]*>", " ", dom))
    for told in (
        "block[…] + low_rank(r=2)",
        "low_rank.A[…]",
        "frozen",
        "penalties",
        "rows(T, map=i0 % 20 * (i0 < 50))",
    ):
        assert told in text
    assert dom.count("<table") == dom.count("</table>") == 2
    assert dom.count("<details") == dom.count("</details>") >= 3


def test_the_page_is_drawn(browser: Browser, page: Path) -> None:
    assert browser.draw(page, 900, 700) > 10_000  # an empty page of this size has about 3 kB
