"""Layer assignments against the sequences that the papers print."""

from __future__ import annotations

import pytest

from lightning_tying.spec.assignments import ASSIGNMENTS, explain_misfit


@pytest.mark.parametrize(
    ("name", "m", "layers"),
    [
        ("cycle", 3, [0, 1, 2, 0, 1, 2]),
        ("sequence", 3, [0, 0, 1, 1, 2, 2]),
        ("sequence", 4, [0, 0, 1, 2, 2, 3]),
        ("cycle_rev", 3, [0, 1, 2, 2, 1, 0]),
        ("cycle_rev", 6, [5, 4, 3, 2, 1, 0]),
        ("sandwich", 0, [0, 1, 1, 1, 1, 2]),
        ("middle_cycle", 2, [0, 1, 2, 1, 2, 3]),
        ("middle_sequence", 2, [0, 1, 1, 2, 2, 3]),
    ],
)
def test_six_layers(name, m, layers):
    assert explain_misfit(name, "l", "", 6, m) is None
    assert [ASSIGNMENTS[name](p, 6, m) for p in range(6)] == layers


def test_every_member_is_used_and_none_besides():
    for n in range(3, 14):
        for m in range(1, n + 1):
            for name, assign in ASSIGNMENTS.items():
                if explain_misfit(name, "l", "", n, m) is None:
                    members = {"sandwich": 3, "middle_cycle": m + 2, "middle_sequence": m + 2}.get(name, m)
                    assert {assign(p, n, m) for p in range(n)} == set(range(members)), (name, n, m)


@pytest.mark.parametrize(
    ("name", "n", "m"), [("cycle", 3, 0), ("sequence", 3, 4), ("middle_cycle", 5, 4), ("sandwich", 2, 0)]
)
def test_misfits(name, n, m):
    assert explain_misfit(name, "l", "", n, m)
