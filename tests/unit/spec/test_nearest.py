"""Which word was probably meant."""

from __future__ import annotations

import pytest

from lightning_tying.spec.nearest import edit_distance, nearest_name


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("shares", ["root", "share"], "share"),
        ("low_rnak", ["mix", "low_rank"], "low_rank"),
        ("k", ["l", "name"], "l"),
        ("walk", ["root", "share"], None),
        ("topk", ["softmax", "top", "block"], "top"),
        ("layers.{l}.atn.q.weight", ["embed.weight", "layers.0.attn.q.weight"], "layers.0.attn.q.weight"),
        ("x", [], None),
    ],
)
def test_nearest(word, known, near):
    assert nearest_name(word, known) == near


def test_many_names_are_searched_in_reasonable_time():
    names = [f"model.layers.{i}.mlp.block{j}.weight" for i in range(100) for j in range(100)]
    assert nearest_name("model.layers.42.mpl.block7.weight", names) == "model.layers.42.mlp.block7.weight"


def test_distance():
    assert edit_distance("abc", "acb", 3) == 1
    assert edit_distance("abc", "xyzabc", 2) == 3
    assert edit_distance("", "ab", 5) == 2
