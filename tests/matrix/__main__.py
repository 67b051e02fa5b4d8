"""`make matrix`: train every spec in every mode, print the table and write it to docs/reference/equivalence.md.

`python -m tests.matrix [--cases a,b] [--modes c,d] [--out FILE]`; a part of the table is printed and not written.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.matrix.cases import CASES
from tests.matrix.matrix import fill_matrix
from tests.matrix.modes import MODES
from tests.matrix.table import BY_HAND, TOLERANCES, make_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "equivalence.md"


def main(arguments: list[str]) -> int:
    """0 where every cell passes."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix")
    parser.add_argument("--cases", type=_names, default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--modes", type=_names, default=[BY_HAND, *MODES], help=", ".join([BY_HAND, *MODES]))
    parser.add_argument("--out", type=Path, help=f"default: {PAGE.name} for the whole table")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        cells = fill_matrix(chosen.cases, chosen.modes, Path(folder))
    page = make_page(cells)
    print(page)
    whole = len(chosen.cases) == len(CASES) and len(chosen.modes) == len(MODES) + 1
    out = chosen.out or (PAGE if whole else None)
    if out is not None:
        out.write_text(page, encoding="utf-8")
    wrong = [
        f"{name}, {mode}" for name, row in cells.items() for mode, cell in row.items()
        if not cell.passes(TOLERANCES[mode])
    ]  # fmt: skip
    print("All cells pass." if not wrong else f"{len(wrong)} cells do not pass: {'; '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


def _names(text: str) -> list[str]:
    return text.split(",")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
