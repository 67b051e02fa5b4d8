"""Values as trees: what is a name, a number, a call; and what the words of an equation change."""

from __future__ import annotations

import copy
import pickle

import pytest

from lightning_tying.spec.equation_words import EquationWords
from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.value_reader import read_value
from lightning_tying.spec.values import Call, MatrixProduct, Negative, Number, Product, Quotient, Ref, Sum

WORDS = EquationWords(frozenset({"l", "name"}), frozenset({"K", "order"}), ("layers.{l}.{name*}",))


def read(text):
    return read_value(text, WORDS)


def test_bare_names():
    value = read("block[name , l%K]")
    assert isinstance(value, Ref) and value.bare is value
    assert value.text == "block[name, l % K]"
    assert [scalar.text for scalar in value.index] == ["name", "l % K"]
    assert read("W[l,]").text == "W[l]"
    assert read("W + V").bare is None


def test_operators():
    value = read("2 * W - V @ U / (d0 + 1) + -t(X)")
    assert isinstance(value, Sum) and value.signs == (1, -1, 1)
    product, quotient, negative = value.terms
    assert isinstance(product, Product) and isinstance(product.factors[0], Number)
    assert isinstance(quotient, Quotient) and isinstance(quotient.dividend, MatrixProduct)
    assert isinstance(negative, Negative) and isinstance(negative.operand, Call)
    assert [ref.name for ref in value.refs()] == ["W", "V", "U", "X"]


def test_words_tell_numbers_from_parameters():
    assert [ref.name for ref in read("K * l * order[l] * numel * W").refs()] == ["W"]


def test_calls():
    value = read("mix(resize(P, [4, floor(0.5 * d0)]), K, softmax=True)[name]")
    assert isinstance(value, Call) and value.function == "mix"
    inner, k = value.arguments
    assert isinstance(inner, Call) and k.text == "K"
    assert [(key, scalar.text) for key, scalar in value.keywords] == [("softmax", "True")]
    assert [scalar.text for scalar in value.index] == ["name"]
    own = read("my_project.sharing.Butterfly(W, 3)[l]")
    assert own.function == "my_project.sharing.Butterfly" and [ref.name for ref in own.refs()] == ["W"]
    assert [call.function for call in read("low_rank(8) + scale(hashed(W))").calls()] == ["low_rank", "scale", "hashed"]


@pytest.mark.parametrize(
    "text",
    [
        "W[V][l]", "W[()]", "W if l else V", "W == V", "not W", "W and V", "[W]", "'x'", "True", "W // 2", "2 / W",
        "f(W)", "t()", "t(W, V)", "t(x=W)", "mix(T)", "einsum()", "concat(W, dims=1)", "t(**W)", "W.x.y", "f.g",
        "2 * embed.weight", "W[*l]", "(lambda: W)", "min(W, 2)", "t[l](W)", "K", "3", "project(W)(V)", "W[0:2]",
        "layers.0.weight", "layers.{l}.weight", "{l}", "vera(r=4, r=3)",
    ],
)  # fmt: skip
def test_refused(text):
    if text == "min(W, 2)":
        assert read("V * min(l, 2)").text == "V * min(l, 2)"
    with pytest.raises(Mistake):
        read(text)


def test_long_sums_and_products_can_be_read_and_copied():
    value = read(" + ".join(["W"] * 100))
    assert isinstance(value, Sum) and len(value.terms) == 100
    deep = read("@".join(["W"] * 100))
    for twin in (pickle.loads(pickle.dumps(deep)), copy.deepcopy(deep)):
        assert twin == deep and len(twin.refs()) == 100
