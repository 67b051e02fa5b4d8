"""The gallery's pages in the documentation are what its data and today's graphs give."""

from __future__ import annotations

import re

import pytest

from tests.gallery.make_pages import FOLDER, make_anchor, make_pages
from tests.gallery.schemes import SCHEMES

PAGES = sorted(str(file.relative_to(FOLDER)) for pattern in ("*.md", "pictures/*.svg") for file in FOLDER.glob(pattern))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return make_pages()


def test_the_files_are_those_of_the_schemes(pages: dict[str, str]) -> None:
    assert sorted(pages) == PAGES, "run make gallery"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_current(page: str, pages: dict[str, str]) -> None:
    assert (FOLDER / page).read_text(encoding="utf-8") == pages[page], "run make gallery"


def test_links_of_the_index_lead_to_headings(pages: dict[str, str]) -> None:
    links = re.findall(r"\]\((\w+\.md)#([\w-]+)\)", pages["index.md"])
    headings = {
        (name, make_anchor(heading))
        for name, text in pages.items()
        for heading in re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
    }
    assert len(links) == len(set(links)) == len(SCHEMES)
    assert set(links) <= headings
