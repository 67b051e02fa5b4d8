"""What is drawn for functions: each site keeps its own variance; coefficients are rows of one orthogonal matrix."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.algebra.fits.solve import compute_value
from lightning_tying.lowering.initial.draw import make_generator
from tests.unit.lowering.hand_graphs import add, call, draw_sites, make_graph, read, solve

STD = 0.05


def deviations(graph, std=STD):
    """Of the values that the sites start from."""
    initial, _ = solve(graph, draw_sites(graph, std=std))
    like = torch.empty(0, dtype=torch.float64)
    values = [compute_value(derived.expression, initial.values, like) for derived in graph.derived]
    return [float(value.pow(2).mean().sqrt()) for value in values if value is not None]


def einsum(shape, formula, *operands):
    return call("einsum", shape, *operands, formula=formula, sizes=())


def mix(shape, index, k=4, x="T"):
    return call("mix", shape, read(x, k, *shape), own={f"mix.a[{index}]": (k,)}, k=k)


PRODUCTS = {
    "one sum": einsum((90, 80), "or,ri->oi", read("X", 90, 16), read("Y", 16, 80)),
    "two sums": einsum((60, 70), "or,rs,si->oi", read("X", 60, 12), read("Y", 12, 14), read("Z", 14, 70)),
    "kron": call("kron", (80, 90), read("X", 8, 9), read("Y", 10, 10)),
    "kron, summed": call("kron", (80, 90), read("X", 20, 8, 9), read("Y", 20, 10, 10)),
    "tt": call(
        "tt", (96, 96), read("G[0]", 1, 8, 8, 24), read("G[1]", 24, 12, 12, 1), rows=(8, 12), cols=(8, 12), rank=24
    ),
    "nested": add(einsum((90, 80), "or,ri->oi", read("X", 90, 16), read("Y", 16, 80))),
}


@pytest.mark.parametrize("value", PRODUCTS.values(), ids=PRODUCTS)
def test_open_operands_share_the_variance_of_their_site(value):
    found = deviations(make_graph({"a": value}, dict.fromkeys("XYZG", "variance")))
    assert found == [pytest.approx(STD, rel=0.15)]


@settings(max_examples=25, deadline=None)
@given(st.integers(20, 90), st.integers(20, 90), st.integers(1, 20), st.floats(1e-3, 10), st.integers(0, 2**31))
def test_any_product_keeps_the_variance_within_what_sampling_allows(rows, columns, rank, std, seed):
    torch.manual_seed(seed)
    value = einsum((rows, columns), "or,ri->oi", read("X", rows, rank), read("Y", rank, columns))
    graph = make_graph({"a": value}, {"X": "variance", "Y": "variance"})
    error = (1 / rows / rank + 1 / columns / rank) ** 0.5 / 2**0.5
    drawn = draw_sites(graph, std=std)["a"].detach()  # a sample too
    assert deviations(graph, std) == [pytest.approx(float(drawn.std()), rel=6 * error)]


def test_an_operand_with_a_rule_of_its_own_leaves_the_rest_to_the_other():
    value = einsum((90, 80), "or,ri->oi", read("X", 90, 16), read("Y", 16, 80))
    assert deviations(make_graph({"a": value}, {"X": "variance", "Y": "normal(3.0)"})) == [pytest.approx(STD, rel=0.15)]


def test_operands_that_start_at_zero_leave_finite_numbers():
    value = einsum((9, 8), "or,ri->oi", read("X", 9, 4), read("Y", 4, 8))
    _, values = solve(graph := make_graph({"a": value}, {"X": "variance", "Y": "zeros"}), draw_sites(graph))
    assert torch.isfinite(values["X"]).all() and values["X"].std() > 0


def test_hashed_sites_keep_their_variance():
    value = call("hashed", (100, 80), read("pool", 3000), key="a", seed=0, chunk=1, sign=True)
    assert deviations(make_graph({"a": value}, {"pool": "normal"})) == [pytest.approx(STD, rel=0.1)]


def test_mixed_sites_keep_their_variance():
    graph = make_graph({f"a.{i}": mix((40, 50), i) for i in range(6)}, {"T": "normal", "mix.a": "orthogonal_rows"})
    assert deviations(graph) == [pytest.approx(STD, rel=0.1)] * 6


def test_matched_scales_keep_each_sites_variance():
    reads = {
        fqn: call(
            "scale", (50, 40), call("hashed", (50, 40), read("pool", 500), key=fqn, seed=0, chunk=4, sign=True),
            own={f"scale.s[{fqn}]": ()}, dim=None,
        )
        for fqn in ("a", "b")
    }  # fmt: skip
    assert (
        deviations(make_graph(reads, {"pool": "normal(1.0)", "scale.s": "match"})) == [pytest.approx(STD, rel=0.05)] * 2
    )


def test_coefficients_are_rows_of_one_orthogonal_matrix():
    """Six rows of four: the columns are orthonormal before each row is scaled to norm 1."""
    graph = make_graph({f"a.{i}": mix((4, 5), i) for i in range(6)}, {"T": "normal", "mix.a": "orthogonal_rows"})
    _, values = solve(graph, draw_sites(graph))
    rows = torch.stack([values[f"mix.a[{i}]"] for i in range(6)])
    matrix = torch.nn.init.orthogonal_(torch.empty(6, 4), generator=make_generator("mix.a[0]"))
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(rows, matrix / matrix.norm(dim=1, keepdim=True))


def test_each_bank_has_its_own_matrix():
    sites = {f"{x}.{i}": mix((4, 5), f"{x}, {i}", x=x) for i in range(4) for x in "TU"}
    graph = make_graph(sites, {"T": "normal", "U": "normal", "mix.a": "orthogonal_rows"})
    _, values = solve(graph, draw_sites(graph))
    for x in "TU":
        rows = torch.stack([values[f"mix.a[{x}, {i}]"] for i in range(4)])
        torch.testing.assert_close(rows @ rows.T, torch.eye(4), atol=1e-5, rtol=0)


def test_coefficients_of_blocks_are_rows_too():
    value = call("mix", (6, 4), read("V", 9, 4), own={"mix.a[0]": (6, 9)}, k=9, block=4)
    graph = make_graph({"a": value}, {"V": "normal", "mix.a": "orthogonal_rows"})
    _, values = solve(graph, draw_sites(graph))
    torch.testing.assert_close(values["mix.a[0]"] @ values["mix.a[0]"].T, torch.eye(6), atol=1e-5, rtol=0)


def test_slices_have_fans_of_their_own():
    graph = make_graph({"a": mix((64, 32), 0)}, {"T": "kaiming_normal", "mix.a": "orthogonal_rows"}, slices=("T",))
    _, values = solve(graph, draw_sites(graph))
    assert [float(each.std()) for each in values["T"]] == [pytest.approx((2 / 32) ** 0.5, rel=0.08)] * 4
    assert not torch.equal(values["T"][0], values["T"][1])


def test_draws_do_not_depend_on_the_order_of_groups():
    sites = {"b": PRODUCTS["one sum"], "a.0": mix((4, 5), 0), "a.1": mix((4, 5), 1)}
    inits = {"X": "variance", "Y": "variance", "T": "normal", "mix.a": "orthogonal_rows"}
    graph = make_graph(sites, inits)
    torch.manual_seed(5)
    _, first = solve(graph, draw_sites(graph))
    torch.rand(9)
    _, second = solve(replace(graph, groups=graph.groups[::-1]), draw_sites(graph))
    assert first.keys() == second.keys() and all(torch.equal(first[each], second[each]) for each in first)
    torch.manual_seed(6)
    _, third = solve(graph, draw_sites(graph))
    assert not torch.equal(first["X"], third["X"]) and not torch.equal(first["mix.a[0]"], third["mix.a[0]"])
