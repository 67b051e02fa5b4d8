"""Each cell of the survival table: the operation is done, and the tie becomes exactly what the cell says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from torch import nn

from lightning_tying.api import get_plan, verify
from lightning_tying.errors import ApplyError, TieBroken, TyingError
from lightning_tying.lowering.plan import Plan
from lightning_tying.lowering.retie import remove_hooks
from lightning_tying.lowering.unwrap import unwrap
from lightning_tying.lowering.verify import verify_plan
from tests.survival import layers, sharding
from tests.survival.cases import KINDS, Kind, Net, assert_same, make, read
from tests.survival.groups import one_process
from tests.survival.operation import Cell, Operation, Outcome
from tests.survival.table import SECTIONS

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # torch, Lightning and this package warn of much that is done here
    pytest.mark.timeout(240),
]
CELLS = [
    pytest.param(operation, kind, cell, id=f"{section}: {operation.title}, {kind}")
    for section, operations in SECTIONS.items()
    for operation in operations
    for kind, cell in zip(KINDS, operation.cells, strict=True)
]


@pytest.mark.parametrize(("operation", "kind", "cell"), CELLS)
def test_a_cell(operation: Operation, kind: Kind, cell: Cell) -> None:
    with one_process() if operation in sharding.OPERATIONS else contextlib.nullcontext():
        CHECKS[cell.outcome](operation, kind, cell)


def check_holds(operation: Operation, kind: Kind, cell: Cell) -> None:
    check_kept(operation, kind)
    if operation.control:
        assert not without_us(operation, kind), "it holds because we restore it"


def check_restored(operation: Operation, kind: Kind, cell: Cell) -> None:
    check_kept(operation, kind)
    if operation.control:
        assert without_us(operation, kind), "it holds without us"


def check_kept(operation: Operation, kind: Kind) -> None:
    """The tie holds, and outputs, gradients and the number of parameters are what they were."""
    before = read(make(kind))
    net = make(kind)
    result = operation.run(net, kind)
    result = net if result is None else result
    verify(result)
    if operation.compared:
        assert_same(before, read(result), operation.tolerance)
    else:
        read(result)


def without_us(operation: Operation, kind: Kind) -> bool:
    """Whether the tie is lost, or the operation fails, on a network that has none of our hooks."""
    net = make(kind)
    plan: Plan = get_plan(net)
    remove_hooks(net)
    try:
        result = operation.run(net, kind)
        verify_plan(plan, net if result is None else unwrap(result))
    except (TieBroken, RuntimeError, KeyError):
        return True
    return False


def check_refused(operation: Operation, kind: Kind, cell: Cell) -> None:
    before = read(make(kind))
    net = make(kind)
    with pytest.raises(Exception, match=cell.words):
        operation.run(net, kind)
    if operation.kept:
        verify(net)
        assert_same(before, read(net))


def check_detected(operation: Operation, kind: Kind, cell: Cell) -> None:
    net = make(kind)
    result = operation.run(net, kind)
    with pytest.raises(TyingError) as error:
        verify(net if result is None else result)
    assert cell.words in str(error.value)
    if isinstance(error.value, TieBroken):
        assert "`W`" in str(error.value) and "two" in str(error.value), "the group and the site are named"


def check_untied(operation: Operation, kind: Kind, cell: Cell) -> None:
    """The user's choice: both layers have parameters of their own, and nothing that is left is broken."""
    net = make(kind)
    result = operation.run(net, kind)
    result = net if result is None else result
    assert not layers.weights_of(result.one) & layers.weights_of(result.two)
    with pytest.raises(ApplyError, match="is not tied"):  # W had no other sites
        get_plan(result)


CHECKS = {
    Outcome.HOLDS: check_holds,
    Outcome.RESTORED: check_restored,
    Outcome.REFUSED: check_refused,
    Outcome.DETECTED: check_detected,
    Outcome.UNTIED: check_untied,
}


@pytest.fixture(autouse=True)
def torchs_flags_are_off() -> Iterator[None]:
    """A row that fails must not leave a flag of torch behind for the others."""
    yield
    import torch

    assert not torch.__future__.get_overwrite_module_params_on_conversion()
    assert not torch.__future__.get_swap_module_params_on_conversion()


def test_every_operation_has_a_row_of_its_own() -> None:
    titles = [operation.title for operations in SECTIONS.values() for operation in operations]
    assert len(titles) == len(set(titles))


def test_a_refusal_of_change_members_says_why() -> None:
    layers.assert_refusal_says_why(make("alias"))


def test_the_control_can_tell() -> None:
    """An operation that loses every tie is told from one that loses none."""

    def part(net: Net, _kind: Kind) -> None:
        net.two.weight = nn.Parameter(net.two.weight.detach().clone())

    lost = Operation("", part, (Cell(Outcome.HOLDS),) * 3)
    kept = Operation("", lambda net, _kind: None, (Cell(Outcome.HOLDS),) * 3)
    assert without_us(lost, "alias") and not without_us(kept, "alias")
    with pytest.raises(TieBroken):
        check_kept(lost, "alias")
