"""What a notebook and `plan --format html` show, looked at in a real headless browser."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lightning_tying import make_plan
from lightning_tying.models import DecoderLM

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture
def browser() -> str:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("needs the system package `chromium`: apt-get install chromium")
    return CHROMIUM


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return _write_page(tmp_path, SPEC)


def _write_page(folder: Path, spec: str) -> Path:
    plan = make_plan(DecoderLM(vocab_size=100, dim=16, depth=4, heads=2), spec)
    file = folder / "plan.html"
    shown = f"<!doctype html><meta charset=utf-8><title>plan</title><body>{plan._repr_html_()}"
    file.write_text(shown, encoding="utf-8")
    return file


def _run(browser: str, profile: Path, *arguments: str) -> str:
    command = [browser, *OPTIONS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_browser_shows_every_group_and_runs_nothing(browser: str, page: Path, tmp_path: Path) -> None:
    dom = _run(browser, tmp_path / "profile", "--dump-dom", page.as_uri())
    text = re.sub(r"<[^>]*>", " ", dom)
    for name in ("block[attn.q.weight, 0]", "block[mlp.down.weight, 1]", "embed.weight", "head.weight"):
        assert name in text
    assert "<script" not in dom.lower()
    assert dom.count("<table") == dom.count("</table>") >= 1


def test_the_browser_shows_derived_sites(browser: str, tmp_path: Path) -> None:
    dom = _run(browser, tmp_path / "profile", "--dump-dom", _write_page(tmp_path, DERIVED).as_uri())
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


def test_the_page_is_drawn(browser: str, page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "plan.png"
    _run(browser, tmp_path / "profile", "--window-size=900,700", f"--screenshot={picture}", page.as_uri())
    assert picture.stat().st_size > 10_000  # an empty page of this size has about 3 kB
