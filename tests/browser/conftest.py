"""The browser of a test, with a profile of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.headless import Browser, find_browser


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    return find_browser(tmp_path)
