"""Law 5: after any sequence of operations that a tie survives, every tie holds and the outputs are the same."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.api import tie, verify
from tests.survival import conversions, loads
from tests.survival.cases import KINDS, SPECS, Kind, assert_same, make, read
from tests.survival.operation import Operation, Outcome

SURVIVED: tuple[Operation, ...] = tuple(
    operation
    for operation in (*conversions.OPERATIONS, *loads.OPERATIONS)
    if all(cell.outcome in (Outcome.HOLDS, Outcome.RESTORED) for cell in operation.cells)
    and operation.tolerance < 1e-5  # two-byte dtypes lose digits for good
    and operation.control  # the others build a network of their own
    and "copy.copy" not in operation.title  # whose original must not be converted afterwards
)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=15, deadline=None)
@given(kind=st.sampled_from(KINDS), sequence=st.lists(st.sampled_from(SURVIVED), min_size=2, max_size=6))
def test_any_sequence_of_survived_operations(kind: Kind, sequence: list[Operation]) -> None:
    before = read(make(kind))
    net = make(kind)
    for operation in sequence:
        result = operation.run(net, kind)
        net = net if result is None else result  # type: ignore[assignment]
        verify(net)
    tie(net, SPECS[kind])  # tie twice is tie once
    net = net.to(torch.float32)
    assert_same(before, read(net), 1e-5)


def test_there_are_operations_to_draw_from() -> None:
    assert len(SURVIVED) >= 15
