"""What scalars are worth at a site, and which are refused."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass, field
from typing import Any

import pytest

from lightning_tying.spec.mistakes import Mistake
from lightning_tying.spec.scalars import evaluate, read_scalar


@dataclass
class Site:
    words: dict[str, Any] = field(default_factory=dict)
    places: tuple[int, int] = (0, 6)

    def position(self, name):
        return self.places[0]

    def count(self, name):
        return self.places[1]

    def prefix(self, name):
        return "layers."


WORDS = {
    "l": 4, "name": "attn.q", "K": 3, "order": [0, 0, 1, 2], "family": {"de": 0, "4": 9}, "lang": "de",
    "d0": 128, "site": "layers.4.attn.q.weight",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("l % K", 1),
        ("-l // K", -2),
        ("-2 ** 2", -4),
        ("2 ** -1", 0.5),
        ("l / 2", 2.0),
        ("min(l, 2) + max(1, d0)", 130),
        ("floor(7 / 2)", 3),
        ("ceil(7 / 2)", 4),
        ("order[K]", 2),
        ("family[lang]", 0),
        ("family[l]", 9),
        ("'attn' in name", True),
        ("l not in [1, 2]", True),
        ("0 < l <= 4 and not l == 3", True),
        ("l == 5 or name < 'b'", True),
        ("lang == 0", False),
        ("'norm'", "norm"),
        ("1e-3", 0.001),
        ("count(l) - position(l)", 6),
    ],
)
def test_evaluate(text, value):
    assert evaluate(read_scalar(text), Site(WORDS)) == value


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("name % 2", "48", "`name % 2`: name is the text 'attn.q' at layers.4.attn.q.weight. Write {name:int}, or take"
         " those sites out with where."),
        ("l % zero", "49", "`l % zero` divides by zero (zero = 0)."),
        ("2 ** 64", "49", "`2 ** 64` is too large: whole numbers stay within ±2⁶³."),
        ("9 ** 9 ** 9", "49", "`9 ** 9 ** 9` is too large: whole numbers stay within ±2⁶³."),
        ("order[l]", "57", "`order[l]`: order has 4 entries and l is 4 at layers.4.attn.q.weight."),
        ("order[-1]", "57", "`order[-1]`: order has 4 entries and -1 is -1 at layers.4.attn.q.weight."),
        ("family['fr']", "57", "`family['fr']`: family has no entry 'fr' at layers.4.attn.q.weight. Known: de, 4."),
        ("cycle_rev(l, 8)", "56", "cycle_rev(l, 8): l has 6 values under `layers.`, and 8 is more."),
        ("cycle(l, 0)", "56", "cycle(l, 0): 0 is less than 1."),
        ("middle_cycle(l, 5)", "56", "middle_cycle(l, 5): l has 6 values under `layers.`, 4 of them in the middle,"
         " and 5 is more."),
        ("nothing + 1", "46", "`nothing` is not a word here."),
        ("name < 1", "48", "`name < 1` compares 'attn.q' with 1 at layers.4.attn.q.weight: only alike have an order."),
    ],
)  # fmt: skip
def test_mistakes(text, code, message):
    with pytest.raises(Mistake) as caught:
        evaluate(read_scalar(text), Site({**WORDS, "zero": 0}))
    assert (caught.value.code, caught.value.text) == (code, message)


@pytest.mark.parametrize(
    "text",
    [
        "l.x", "f(1)", "l if l else 1", "[x for x in l]", "lambda: 1", "l := 1", "f'{l}'", "b'x'", "1j", "l[1:2]",
        "l[0][1]", "~l", "+l", "l @ l", "l | 1", "l is 1", "(1, 2)", "...", "1e999", "10 ** 400 + " + "9" * 30, "l\\",
        "", "l # x", "min()", "min(*l)", "min(a=1)", "position(1)", "ünder", "__import__('os').system('x')", "\0", "'",
    ],
)  # fmt: skip
def test_refused(text):
    with pytest.raises(Mistake):
        read_scalar(text)


def test_limits():
    assert read_scalar("(" * 64 + "1" + ")" * 64).text == "1"
    for text in ("(" * 65 + "1" + ")" * 65, "-" * 1999 + "1", "not " * 400 + "l", "1" * 2001, "+".join("a" * 200)):
        with pytest.raises(Mistake) as caught:
            read_scalar(text)
        assert caught.value.code == "24"
    assert evaluate(read_scalar("+".join(["1"] * 100)), Site()) == 100


def test_canonical_text_and_words():
    scalar = read_scalar("min( l ,\n  d0)+count(m)")
    assert scalar.text == "min(l, d0) + count(m)"
    assert scalar.words == {"l", "d0", "m"}
    for twin in (pickle.loads(pickle.dumps(scalar)), copy.deepcopy(scalar)):
        assert twin == scalar and twin.words == scalar.words
