"""The benchmark of sharing first runs at its small size, and its page has every side."""

from pathlib import Path

import pytest

from benchmarks import measure, share_then_unshare
from benchmarks.share_then_unshare import Run


def test_share_then_unshare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    share_then_unshare.main(share_then_unshare.SMALL)
    (page,) = (tmp_path / "results").iterdir()
    lines = page.read_text(encoding="utf-8").splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if " of 1 |" in line]
    assert [row[0] for row in table] == ["untied", "shared to the end", "shared, untied after 25% of the steps"]
    assert table[0][4] == "1 of 1" and all(0 < float(row[1].split()[0]) < 10 for row in table)


def test_a_loss_is_reached_at_the_first_step_that_has_it() -> None:
    run = Run((10, 20, 30), (1.0, 2.0, 3.0), (3.0, 2.0, 2.5))
    assert run.reach(2.5) == (20, 2.0)
    assert run.reach(1.9) is None
