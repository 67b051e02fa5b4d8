"""Recurrent networks: each scheme written from its paper; dropout is switched off here."""

from __future__ import annotations

import re

from tests.gallery.case import Case, Shared, Values, select
from tests.trees import embedding_and_head, lstm


def awd_lstm(seed: int) -> Case:
    shapes = embedding_and_head(11, 3 + seed) | lstm(3 + seed, 3 + seed, 3)

    def values(p: Shared) -> Values:
        found = {site: p[f"U[{site[-1]}]"] for site in select(shapes, "weight_hh")}
        return found | dict.fromkeys(("embed.weight", "head.weight"), p["vocabulary"])

    return Case(shapes, values)


def bidirectional_tying(seed: int) -> Case:
    shapes = lstm(3 + seed, 2 + seed, 3, bidirectional=True)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in shapes:
            name, layer = re.findall(r"rnn\.(\w+)_l(\d)", site)[0]
            found[site] = p[f"cell[{name}, {min(int(layer), 1)}]"]
        return found

    return Case(shapes, values)
