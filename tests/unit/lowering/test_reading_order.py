"""The order in which parameters are solved."""

from __future__ import annotations

from dataclasses import replace

from lightning_tying.lowering.initial.reading_order import order_groups, read_in_order
from tests.unit.lowering.hand_graphs import add, call, low_rank, make_graph, matmul, read, times


def test_a_value_is_read_from_left_to_right_and_arguments_before_what_is_brought():
    basis = call("basis", (4, 4), read("X", 2, 4), own={"basis.C[0]": (4, 2)}, r=2)
    expression = add(times(basis, read("V", 4, 4)), low_rank((4, 4), 1, 0), matmul(read("Y", 4, 2), read("X", 2, 4)))
    found = [str(name) for name in read_in_order(expression)]
    assert found == ["X", "basis.C[0]", "V", "low_rank.A[0]", "low_rank.B[0]", "Y", "X"]


def test_those_that_a_site_reads_as_it_is_come_first():
    graph = make_graph(
        {
            "a": add(read("U", 4, 4), low_rank((4, 4), 1, 0)),
            "b": read("W", 4, 4),
            "c": times(read("W", 4, 4), read("V", 4, 4)),
            "d": read("U", 4, 4),
        }
    )
    assert [str(group.name) for group in order_groups(graph)] == ["U", "W", "low_rank.A[0]", "low_rank.B[0]", "V"]


def test_the_order_of_groups_changes_nothing_for_the_others():
    graph = make_graph({"a": add(read("U", 4, 4), read("V", 4, 4)), "b": times(read("X", 4, 4), read("U", 4, 4))})

    turned = replace(graph, groups=graph.groups[::-1])
    assert order_groups(turned) == order_groups(graph)
