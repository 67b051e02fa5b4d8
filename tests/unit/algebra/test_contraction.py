"""Contractions against torch.einsum, their cost against a count by hand, and what undoes them."""

from __future__ import annotations

import itertools
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.algebra.primitives.contraction import Broadcast, General, MatMul, plan_contraction
from lightning_tying.algebra.primitives.einsum import Einsum
from lightning_tying.algebra.primitives.node import Inputs
from lightning_tying.algebra.primitives.ref import Ref

FORMULAS = [
    "ab,bc->ac", "ab,cb->ac", "ba,bc->ca", "ab,bc->ca", "a,ab->b", "ab,b->a", "a,a->", "ab,ab->ab", "a,ab->ab",
    "ab,->ab", ",->", "z,zabc->abc", "nz,zb->nb", "ab,cd->acbd", "nab,ncd->acbd", "o,or,r,ri->oi", "oa,lab,rb->lor",
    "abr,rcds->acbds", "ab,bc,cd->ad", "ab->ba", "ab->a", "ab,c->c", "aab,b->a", "ab,bc,cd,de,ef,fa->ad",
    "bac,bcd->bad", "ro,ri->oi", "nir,nro->nio",
]  # fmt: skip
LETTERS = "abcdefz"


def make(formula: str, sizes: dict[str, int]) -> tuple[Einsum, list[torch.Tensor]]:
    terms = formula.split("->")[0].split(",")
    shapes = [tuple(sizes[x] for x in term) for term in terms]
    node = Einsum(formula, [Ref(shape, slot) for slot, shape in enumerate(shapes)])
    return node, [torch.randn(shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("formula", FORMULAS)
@given(st.data())
def test_equals_einsum(formula, data):
    sizes = {x: data.draw(st.integers(1, 4)) for x in sorted(set(formula) - set(",->"))}
    node, values = make(formula, sizes)
    wanted = torch.einsum(formula, *values)
    assert node.shape == tuple(wanted.shape)
    torch.testing.assert_close(node.forward(Inputs(values)), wanted, rtol=1e-12, atol=1e-12)


@given(st.data())
def test_any_formula_equals_einsum(data):
    terms = data.draw(st.lists(st.text(LETTERS, max_size=3), min_size=1, max_size=4))
    letters = sorted(set("".join(terms)))
    output = "".join(data.draw(st.permutations([x for x in letters if data.draw(st.booleans())])))
    sizes = {x: data.draw(st.integers(1, 3)) for x in letters}
    node, values = make(f"{','.join(terms)}->{output}", sizes)
    wanted = torch.einsum(f"{','.join(terms)}->{output}", *values)
    torch.testing.assert_close(node.forward(Inputs(values)), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_gradients(formula):
    node, values = make(formula, {x: 2 + number % 2 for number, x in enumerate(sorted(set(formula) - set(",->")))})
    leaves = [value.requires_grad_() for value in values]
    assert torch.autograd.gradcheck(lambda *slots: node.forward(Inputs(slots)), leaves)


@pytest.mark.parametrize(
    ("formula", "kind"),
    [
        ("ab,bc->ac", MatMul), ("ab,cb->ca", MatMul), ("z,zabc->abc", MatMul), ("nz,zb->nb", MatMul),
        ("ab,ab->ab", Broadcast), ("a,ab->ab", Broadcast), ("ab,cd->acbd", Broadcast), ("bac,bcd->bad", General),
    ],
)  # fmt: skip
def test_fast_paths(formula, kind):
    node, _ = make(formula, dict.fromkeys(LETTERS + "on", 3))
    (step,) = node.contraction.steps
    assert type(step.pairwise) is kind


def test_the_cheapest_order_is_taken_and_counted():
    node, _ = make("o,or,r,ri->oi", {"o": 100, "r": 2, "i": 50})
    assert node.multiply_adds() == 100 * 2 + 2 * 50 + 100 * 2 * 50 or node.multiply_adds() == 2 * 100 * 2 + 100 * 100
    assert node.multiply_adds() < 2 * 100 * 2 * 50
    assert node.summed == 2


def count_orders(terms: list[str], output: str, sizes: dict[str, int]) -> int:
    """The least multiply-adds over all orders of pairs, by trying them."""
    if len(terms) == 1:
        return 0
    costs = []
    for left, right in itertools.combinations(range(len(terms)), 2):
        others = [term for place, term in enumerate(terms) if place not in (left, right)]
        both = set(terms[left] + terms[right])
        kept = "".join(x for x in both if x in output or any(x in other for other in others))
        costs.append(math.prod(sizes[x] for x in both) + count_orders([*others, kept], output, sizes))
    return min(costs)


@given(st.lists(st.text(LETTERS, min_size=1, max_size=3), min_size=2, max_size=4), st.data())
def test_no_order_is_cheaper(terms, data):
    terms = ["".join(dict.fromkeys(term)) for term in terms]
    output = "".join(x for x in sorted(set("".join(terms))) if data.draw(st.booleans()))
    sizes = {x: data.draw(st.integers(2, 5)) for x in LETTERS}
    shapes = tuple(tuple(sizes[x] for x in term) for term in terms)
    found = plan_contraction(f"{','.join(terms)}->{output}", shapes)
    assert found.multiply_adds == count_orders(terms, output, sizes)


def test_dtypes_are_promoted():
    node, _ = make("ab,bc->ac", {"a": 2, "b": 3, "c": 4})
    value = node.forward(Inputs([torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(3, 4)]))
    assert value.dtype == torch.float32


def test_pickles():
    node, values = make("o,or,r,ri->oi", {"o": 3, "r": 2, "i": 4})
    again = pickle.loads(pickle.dumps(node))
    assert torch.equal(again.forward(Inputs(values)), node.forward(Inputs(values)))


@pytest.mark.parametrize("formula", [formula for formula in FORMULAS if not any(x in formula for x in ("aab", "fa"))])
def test_least_squares_in_every_operand(formula):
    """The solution is a fixed point of the normal equations: the residual is orthogonal to every change."""
    sizes = {x: 2 + number % 3 for number, x in enumerate(sorted(set(formula) - set(",->")))}
    node, values = make(formula, sizes)
    target = torch.randn(node.shape, dtype=torch.float64)
    for place in range(len(values)):
        known = [None if place == other else value for other, value in enumerate(values)]
        found = node.fit(target, known)
        assert [other for other, value in enumerate(found) if value is not None] == [place]
        solution = found[place].clone().requires_grad_()
        slots = [solution if place == other else value for other, value in enumerate(values)]
        ((node.forward(Inputs(slots)) - target) ** 2).sum().backward()
        torch.testing.assert_close(solution.grad, torch.zeros_like(solution.grad), rtol=0, atol=1e-8)


def test_a_zero_in_a_factor_divides_to_zero():
    node, _ = make("ab,ab->ab", {"a": 2, "b": 2})
    known = torch.tensor([[2.0, 0.0], [4.0, 1.0]], dtype=torch.float64)
    found = node.fit(torch.full((2, 2), 8.0, dtype=torch.float64), [None, known])
    assert found[0].tolist() == [[4.0, 0.0], [2.0, 8.0]]
    assert found[1] is None


def test_open_factors_count_one():
    node, values = make("ab,ab,ab->ab", {"a": 2, "b": 3})
    target = torch.randn(2, 3, dtype=torch.float64)
    found = node.fit(target, [None, values[1], None])
    torch.testing.assert_close(found[0], target / values[1])
    torch.testing.assert_close(found[2], target / values[1])


@pytest.mark.parametrize(
    "formula", ["ab,bc->ac", "ro,ri->oi", "nz,zb->bn", "abr,rcds->acbds", "a,b->ba", "nab,ncd->acbd"]
)
def test_two_open_factors_are_split(formula):
    sizes = {x: 2 + number % 2 for number, x in enumerate(sorted(set(formula) - set(",->")))} | {
        "r": 40,
        "z": 2,
        "n": 4,
    }
    node, values = make(formula, sizes)
    target = node.forward(Inputs(values))
    left, right = node.fit(target, [None, None])
    torch.testing.assert_close(node.forward(Inputs([left, right])), target)
    torch.testing.assert_close(left.norm(), right.norm())


def test_what_cannot_be_split_has_no_fit():
    for formula in ("zab,zbc->zac", "ab,bc,cd->ad"):
        node, values = make(formula, dict.fromkeys("zabcd", 2))
        assert node.fit(torch.ones(node.shape), [None] * len(values)) == [None] * len(values)
