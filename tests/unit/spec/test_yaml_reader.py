"""YAML 1.2 as a tree with lines: types, places, limits."""

from __future__ import annotations

import re

import pytest
import yaml

from lightning_tying.errors import Problem, SpecError
from lightning_tying.spec.tree import Fields, Items, Leaf
from lightning_tying.spec.yaml_reader import read_yaml
from lightning_tying.spec.yaml_text import quote_yaml, resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-3", -3), ("0o17", 15), ("0x1f", 31), ("017", 17), ("1_0", "1_0"),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("true", True), ("False", False), ("~", None),
        ("null", None), ("1:30", "1:30"), ("2001-01-01", "2001-01-01"), (".inf", ".inf"), ("1e999", "1e999"),
        ("=", "="), ("<<", "<<"), ("d0", "d0"), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_types_of_yaml_1_2(text, value):
    assert resolve_plain(text) == value
    assert type(resolve_plain(text)) is type(value)


def test_tree_with_lines():
    problems = []
    tree = read_yaml("a: 1\nb:\n  - x\n  - {c: 'no', d: no}\n", "f.yaml", problems)
    assert isinstance(tree, Fields) and not problems
    items = tree.find("b")
    assert isinstance(items, Items) and [item.location.line for item in items.items] == [3, 4]
    inner = items.items[1]
    assert isinstance(inner, Fields) and [field.value.value for field in inner.fields] == ["no", "no"]
    assert str(tree.fields[0].value.location) == "f.yaml:1"


def test_what_can_be_got_over_is_found_together():
    problems = []
    tree = read_yaml("a: 1\na: 2\n3: x\n[q]: y\nf: {sites: a, equals: g(1, 2, h(3), 4)}\n", None, problems)
    assert [problem.code for problem in sorted(problems, key=lambda p: p.location.line)] == ["4", "7", "7", "3"]
    assert tree.find("f").find("equals").value == "g(1, 2, h(3), 4)"
    assert isinstance(tree.find("a"), Leaf) and tree.find("a").value == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("- &a 1\n- *a", "5"),
        ("a: !!int 3", "5"),
        ("a: ! x", "5"),
        ("a: 1\n---\nb: 2", "2"),
        ("a: [1", "2"),
        ("a: \x01", "2"),
        ("\tb: 1", "2"),
        ("a: @x", "1"),
        ("sites: **.weight", "1"),
        ("- *norm.weight = W", "1"),
        ("- *norm = W", "1"),
        ("- {s:a|b}.weight = W", "1"),
        ("a: [layers.{l}.x, b]", "2"),
        ("[" * 10000, "6"),
        ("- " * 10000, "6"),
        ("{a: " * 10000, "6"),
        ("a: " + "x" * 1_000_001, "6"),
    ],
)
def test_refused(text, code):
    with pytest.raises(SpecError) as caught:
        read_yaml(text, None, [])
    assert {problem.code for problem in caught.value.problems} == {code}
    assert all(problem.location.line for problem in caught.value.problems)


def test_all_tags_and_anchors_at_once():
    with pytest.raises(SpecError) as caught:
        read_yaml("a: !x 1\nb: &y 2\nc: *y\n", None, [])
    assert [problem.location.line for problem in caught.value.problems] == [1, 2, 3]


@pytest.mark.parametrize(
    "text", ["", "plain", '"', "\\", "\n\t\r\0", "é🙂\u2028\u0085\ufeff\x7f", "\ud800", "1", "a: b # c"]
)
def test_quoted_text_is_read_back(text):
    assert read_yaml(quote_yaml(text), None, []).value == text


@pytest.mark.parametrize(
    "text",
    [
        "share: [a.w = W, {tie: ['b.w', \"c.w\"], name: T}]\n",
        "share:\n  - layers.{l}.{name*} = block[name, l % 3]  # a comment\n",
        "share:\n  - sites: a.w\n    equals: >-\n      W +\n      V\n",
        '{"share": ["a.w = W"], "let": {"K": 3, "of": {"x": [1, 1e-3, true, null]}}}',
        "---\nshare:\r\n- |\n  a.w = W\n...\n",
        "let: {a: , b: ~, c: 'yes', d: yes}\nshare: []\n",
        "share:\n  - a.w\n    = W\n  - {sites: a.w, equals: f(T, 3)}\nparameters:\n  W: {lr: 1}\n  W: {lr: 2}\n",
    ],
)
def test_libyaml_and_pyyaml_read_the_same(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast: list[Problem] = []
    slow: list[Problem] = []
    first = read_yaml(text, None, fast)
    monkeypatch.setattr(yaml, "__with_libyaml__", False)

    assert read_yaml(text, None, slow) == first
    assert slow == fast


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("share:\n\t- a.w = W\n", "a tab stands where YAML takes spaces only"),
        ("share:\n  - 'a.w' = W\n", 'Quotes hold the whole text or none of it. Write - "a.w = W"'),
        ('share:\n  - "a.w = W\n', "a quote has no end"),
        ("share:\n  - `a.w = W\n", "must be quoted"),
    ],
)
def test_what_yaml_stumbles_over_is_named(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        read_yaml(text, None, [])


def test_a_mistake_says_where_in_the_data_it_lies() -> None:
    problems: list[Problem] = []

    read_yaml("share:\n  - a.w = W\n  - sites: b.w\n    init: {W: mean, W: first}\n", None, problems)

    assert [(problem.location.line, problem.location.path) for problem in problems] == [(4, "share[1].init")]
