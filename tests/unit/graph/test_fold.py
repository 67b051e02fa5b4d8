"""FQNs folded to lines."""

from __future__ import annotations

import pytest

from lightning_tying.graph.pictures.fold import fold_fqns


@pytest.mark.parametrize(
    ("fqns", "lines"),
    [
        ([], []),
        (["a.weight", "b.weight"], ["a.weight", "b.weight"]),
        (["l.0.w", "l.1.w", "l.2.w", "head"], ["l.{0…2}.w", "head"]),
        (["l.0.w", "l.2.w", "l.3.w"], ["l.{0, 2, 3}.w"]),
        (["l.0.m.0", "l.0.m.1", "l.1.m.0", "l.1.m.1"], ["l.{0, 1}.m.0", "l.{0, 1}.m.1"]),
        (["l.00.w", "l.01.w"], ["l.00.w", "l.01.w"]),
    ],
)
def test_fold(fqns: list[str], lines: list[str]) -> None:
    assert list(fold_fqns(fqns)) == lines
