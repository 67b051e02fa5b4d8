"""YAML 1.2 as a tree with lines: types, places, limits."""

from __future__ import annotations

import pytest

from lightning_tying.errors import SpecError
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
