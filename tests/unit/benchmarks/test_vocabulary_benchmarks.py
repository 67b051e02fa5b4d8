"""The benchmarks of united rows and of encoding run at their small sizes, and write what they promise."""

from pathlib import Path

import pytest

from benchmarks import encoding, measure, united_rows


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "results"


def test_united_rows(results: Path) -> None:
    united_rows.main(united_rows.SMALL)
    (page,) = results.iterdir()
    lines = page.read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| es–pt")]
    assert [row[1] for row in table] == ["none", "surface", "surface_similar"]
    none, surface, similar = (int(row[2]) for row in table)
    assert surface <= similar < none == 2 * united_rows.SMALL.member - 2  # <pad> and <eos> meet in any case
    assert "% saved" in table[1][3] and all(0 < float(row[4]) < 9 for row in table)


def test_encoding(results: Path) -> None:
    encoding.main(encoding.SMALL)
    (page,) = results.iterdir()
    text = page.read_text(encoding="utf-8")
    assert "| lines |" in text and "| documents of 2 kB |" in text and " s** from the cache" in text


def test_documents_hold_all_texts() -> None:
    texts = [f"line {number}" for number in range(100)]
    documents = encoding.join_documents(texts, 64)
    assert "\n".join(documents).split("\n") == texts
    assert all(len(document) < 80 for document in documents)
