"""The report of a run in a real headless browser: it is drawn, it asks for nothing, and it has no error."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lightning_tying.reports.stability.html import write_report
from tests.unit.reports.stability.samples import opposed, record

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
SAVINGS = {"before": {"parameters": 400}, "after": {"parameters": 100}}


@pytest.fixture
def browser() -> str:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("needs the system package `chromium`: apt-get install chromium")
    return CHROMIUM


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "stability.html"
    write_report([record(step, "block[q]", opposed(6, step)) for step in (0, 50, 100)], SAVINGS, path)
    return path


def _run(browser: str, profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [browser, *OPTIONS, f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def _list_requests(net_log: Path) -> set[str]:
    """Every address that the browser's network stack was asked for."""
    found = re.findall(r'"url":"((?:https?|wss?|ftp)://[^"]+)"', net_log.read_text(encoding="utf-8", errors="replace"))
    return {address for address in found if not re.search(r"google|gvt1|chromium", address)}  # the browser's own


def test_the_page_shows_advice_and_pictures_without_a_request_or_an_error(browser: str, page: Path, tmp_path: Path):
    log = tmp_path / "net.json"
    done = _run(
        browser, tmp_path / "profile", "--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom",
        page.as_uri(),
    )  # fmt: skip
    text = html.unescape(re.sub(r"<[^>]*>", " ", done.stdout))
    assert "400 -> 100 parameters (75 % saved)" in text
    assert "conflict in 100 % of samples; consider cycle(l, 2)" in text
    assert done.stdout.count("<img") == 2 and "<script" not in done.stdout.lower()
    assert ":CONSOLE" not in done.stderr
    assert _list_requests(log) == set()


def test_the_log_would_show_a_console_error_and_a_request(browser: str, tmp_path: Path):
    """The checks above can fail: a page with both is caught."""
    page, log = tmp_path / "bad.html", tmp_path / "net.json"
    page.write_text("<script>console.error('broken')</script><img src='http://127.0.0.1:9/x.png'>")
    done = _run(
        browser, tmp_path / "profile", "--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom",
        page.as_uri(),
    )  # fmt: skip
    assert ":CONSOLE" in done.stderr
    assert _list_requests(log) == {"http://127.0.0.1:9/x.png"}


def test_the_pictures_are_drawn(browser: str, page: Path, tmp_path: Path):
    """A page whose pictures were broken would be small: the heat map alone is some ten thousand bytes."""
    picture = tmp_path / "page.png"
    _run(browser, tmp_path / "profile", "--window-size=1300,1700", f"--screenshot={picture}", page.as_uri())
    assert picture.stat().st_size > 60_000


def test_the_pages_numbers_are_those_of_the_records(browser: str, page: Path, tmp_path: Path):
    done = _run(browser, tmp_path / "profile", "--dump-dom", page.as_uri())
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", done.stdout)
    row = cells[cells.index("block[q]") :]
    assert row[1:3] == ["6", "3"] and row[4:6] == ["0.17", "60 %"]  # 1 / 6, and 9 of the 15 pairs
