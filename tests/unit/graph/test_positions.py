"""Positions, counts and the text up to a hole."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lightning_tying.graph.matching.positions import Positions, find_prefix
from lightning_tying.spec.patterns import Captures, Pattern, read_pattern


@dataclass(frozen=True)
class Place:
    fqn: str
    pattern: Pattern
    captures: Captures


def place(pattern: str, fqn: str) -> Place:
    read = read_pattern(pattern)
    (captures,) = read.match(fqn)
    return Place(fqn, read, captures)


@pytest.mark.parametrize(
    ("pattern", "fqn", "name", "prefix"),
    [
        ("layers.{l}.weight", "layers.10.weight", "l", "layers."),
        ("{s:encoder|decoder}.layers.{l}.weight", "decoder.layers.0.weight", "l", "decoder.layers."),
        ("a.{i}.b.{l}.w", "a.007.b.3.w", "l", "a.007.b."),
        ("**.layers.{l}.weight", "a.b.layers.2.weight", "l", "a.b.layers."),
        ("*.conv{i:int}.{name*}", "net.conv12.a.b", "name", "net.conv12."),
        ("{m:x.*|y}.z.{l}", "x.q.z.5", "l", "x.q.z."),
        ("rnn.{p}_l{l:int}", "rnn.weight_ih_l03", "l", "rnn.weight_ih_l"),
    ],
)
def test_the_text_up_to_a_hole(pattern: str, fqn: str, name: str, prefix: str) -> None:
    assert find_prefix(place(pattern, fqn), name) == prefix


def test_values_are_ranked_as_numbers_then_as_texts() -> None:
    places = [place("l.{l}.w", f"l.{value}.w") for value in ("10", "9", "b", "a", "0")]
    positions = Positions(places)

    assert [positions.position("l", entry) for entry in places] == [2, 1, 4, 3, 0]
    assert positions.count("l", places[0]) == 5
