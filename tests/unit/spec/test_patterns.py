"""What patterns match, what they capture, and when a match is not the only one."""

from __future__ import annotations

import copy
import pickle

import pytest

from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.patterns import read_pattern


@pytest.mark.parametrize(
    ("pattern", "fqn", "captures"),
    [
        ("head.weight", "head.weight", {}),
        ("layers.{l}.weight", "layers.3.weight", {"l": 3}),
        ("layers.{l}.weight", "layers.03.weight", {"l": 3}),
        ("layers.{l}.weight", "layers.x3.weight", {"l": "x3"}),
        ("layers.{l:int}.weight", "layers.3.weight", {"l": 3}),
        ("layers.{l}.{name*}", "layers.3.attn.q.weight", {"l": 3, "name": "attn.q.weight"}),
        ("layers.{name*}", "layers.12", {"name": 12}),
        ("**.weight", "weight", {}),
        ("**.weight", "a.b.weight", {}),
        ("layers.**", "layers", {}),
        ("a.**.b", "a.b", {}),
        ("conv{i}.weight", "conv12.weight", {"i": 12}),
        ("rnn.bias_{s:ih|hh}_l{l:int}", "rnn.bias_hh_l1", {"s": "hh", "l": 1}),
        ("rnn.weight_hh_l{l}", "rnn.weight_hh_l0_reverse", {"l": "0_reverse"}),
        ("x.{m:q|k|mlp.*}.weight", "x.mlp.up.weight", {"m": "mlp.up"}),
        ("x.{m:0|1}.weight", "x.1.weight", {"m": 1}),
        ("x.*_proj.weight", "x._proj.weight", {}),
    ],
)
def test_match(pattern, fqn, captures):
    assert read_pattern(pattern).match(fqn) == (captures,)


@pytest.mark.parametrize(
    ("pattern", "fqn"),
    [
        ("layers.{l}.weight", "layers.weight"),
        ("layers.{l}.weight", "layers.1.2.weight"),
        ("layers.{l:int}.weight", "layers.x.weight"),
        ("layers.{name*}", "layers"),
        ("a.*.weight", "a.b.c.weight"),
        ("x.{m:q|k}.weight", "x.qk.weight"),
        ("head.weight", "head.weights"),
        ("head.weight", "xhead.weight"),
    ],
)
def test_no_match(pattern, fqn):
    assert read_pattern(pattern).match(fqn) == ()


def test_two_sets_of_captures_show_that_a_match_is_ambiguous():
    found = read_pattern("{a*}.{b*}.weight").match("layers.0.attn.q.weight")
    assert found == ({"a": "layers", "b": "0.attn.q"}, {"a": "layers.0", "b": "attn.q"})
    assert read_pattern("**.x.**").match("x.x.x") == ({},)


def test_no_backtracking_on_a_pattern_made_for_it():
    pattern = read_pattern("*a" * 200 + "b")
    assert pattern.match("a" * 300) == ()
    assert read_pattern(".".join(f"{{h{i}*}}" for i in range(16))).match(".".join("a" * 60)) != ()


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("a.b", "a.b"), ("layers.{l}.x", "layers."), ("layers.**", "layers"), ("conv{i}.x", "conv"), ("**.x", "")],
)
def test_prefix(pattern, prefix):
    assert read_pattern(pattern).prefix == prefix


@pytest.mark.parametrize("text", ["", ".", "a..b", "a.", "a b", "a|b", "a}", "{}", "{l:}", "{l:q||k}", "{l", "{{l}}"])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(Mistake):
        read_pattern(text)


@pytest.mark.parametrize(
    "text", ["a" * 501, ".".join(f"{{h{i}}}" for i in range(17)), "{m:" + "|".join(f"a{i}" for i in range(99)) + "}"]
)
def test_limits(text):
    if len(text) < 500 and "|" in text:
        assert len(read_pattern(text).holes[0].alternatives) == 99
    else:
        with pytest.raises(Mistake) as caught:
            read_pattern(text)
        assert caught.value.code == "24"


def test_copies_are_equal():
    pattern = read_pattern("layers.{l}.{m:q|k}.*")
    assert pattern.captures == ("l", "m")
    for twin in (pickle.loads(pickle.dumps(pattern)), copy.deepcopy(pattern)):
        assert twin == pattern and twin.match("layers.1.q.x") == ({"l": 1, "m": "q"},)
