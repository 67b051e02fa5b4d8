"""A page in; what a real headless browser makes of it, and what it asked the network for, out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


@dataclass(frozen=True)
class Browser:
    """A browser with a profile of its own.

    Args:
        program: its path.
        folder: for the profile and logs.
    """

    program: str
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [self.program, *OPTIONS, f"--user-data-dir={self.folder / 'profile'}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    def open(self, page: Path) -> str:
        """The page after all of it has run, as HTML."""
        return self.run("--dump-dom", page.as_uri()).stdout

    def draw(self, page: Path, width: int, height: int) -> int:
        """The size of the page's picture, in bytes of PNG."""
        picture = self.folder / "page.png"
        self.run(f"--window-size={width},{height}", f"--screenshot={picture}", page.as_uri())
        return picture.stat().st_size

    def watch(self, page: Path) -> tuple[str, str, set[str]]:
        """The page as HTML, what was written to the console, and every address that the network was asked for."""
        log = self.folder / "net.json"
        done = self.run("--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom", page.as_uri())
        text = log.read_text(encoding="utf-8", errors="replace")
        found = re.findall(r'"url":"((?:https?|wss?|ftp)://[^"]+)"', text)
        own = re.compile(r"google|gvt1|chromium")
        console = "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)
        return done.stdout, console, {address for address in found if not own.search(address)}


def find_browser(folder: Path) -> Browser:
    """The browser, or a skipped test; in CI its absence is a failure."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed; .ci/run installs it")
        pytest.skip("needs the system package `chromium`: apt-get install chromium")
    return Browser(CHROMIUM, folder)
