"""The benchmark of the uses at its small size: a dated page, and the docs' page only where it is whole."""

from pathlib import Path

import pytest

from benchmarks import measure, uses


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(uses, "PAGE", tmp_path / "results.md")
    return tmp_path / "results"


@pytest.mark.filterwarnings("ignore:LightningCLI's args parameter:UserWarning")  # pytest has arguments of its own
def test_small(results: Path, tmp_path: Path) -> None:
    uses.main(uses.SMALL)
    (page,) = results.iterdir()
    text = page.read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if "`japanese_vowels`" in line)
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    untied, tied = (int(word.replace(",", "")) for word in cells[3].split(" → "))
    assert tied < untied and cells[4] == f"{tied / untied:.1%}"
    assert all(0 <= float(cell.split()[0]) <= 100 and "% right" in cell for cell in cells[5:7])
    assert "over 2 seeds (1, 2)" in text
    assert not (tmp_path / "results.md").exists(), "three of the four uses are missing"


def test_the_page_of_all_uses(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tied, untied = uses.Outcome(100, (0.5, 0.7)), uses.Outcome(400, (0.6, 0.6))
    monkeypatch.setattr(uses, "train_pair", lambda use, size: (tied, untied))
    uses.main(uses.Size(seeds=(1, 2)))
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(uses.USES)
    assert "| 400 → 100 | 25.0% | 60.0 % right (60.0 … 60.0) | 60.0 % right (50.0 … 70.0) |" in lines[2]
    assert "| 0.6 chrF (0.6 … 0.6) | 0.6 chrF (0.5 … 0.7) |" in text
    assert all(len(line) <= 120 for line in text.splitlines() if not line.startswith(("|", "Measured")))


def test_one_seed_has_no_range() -> None:
    row = (uses.USES[2], uses.Outcome(100, (0.5,)), uses.Outcome(400, (0.625,)))
    assert uses.make_table([row]).splitlines()[2].endswith("| 62.5 % right | 50.0 % right |")
    assert uses.count_seeds(uses.Size(seeds=(7,))).startswith("One seed (7)")


def test_an_unknown_use_is_named() -> None:
    with pytest.raises(SystemExit, match=r"Unknown use minst\. Known: language_identification, docstrings"):
        uses.main(uses.Size(uses=("minst",)))
