"""What each spec of the matrix says, in plain torch: shared parameters by name go in, the values of the sites come out.

Nothing here knows of specs, graphs or plans: each function is the scheme's formula, written for its network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from tests.gallery.hashing import hashed as hash_cells

Shared = Mapping[str, Tensor]
Values = dict[str, Tensor]
ByHand = Callable[[Shared, Mapping[str, Sequence[int]]], Values]
Shapes = Mapping[str, Sequence[int]]


def _layers(shapes: Shapes, part: str = "") -> list[tuple[str, int, str]]:
    """`layers.2.attn.q.weight`, 2, `attn.q.weight` of each site in a layer whose name begins with `part`."""
    split = ((site, *site.split(".", 2)[1:]) for site in shapes if site.startswith("layers."))
    return [(site, int(layer), rest) for site, layer, rest in split if rest.startswith(part)]


def three_way(p: Shared, shapes: Shapes) -> Values:
    return dict.fromkeys(("encoder.embed.weight", "decoder.embed.weight", "head.weight"), p["vocabulary"])


def albert(p: Shared, shapes: Shapes) -> Values:
    return {site: p[f"block[{rest}]"] for site, _, rest in _layers(shapes)}


def cycle(p: Shared, shapes: Shapes) -> Values:
    tied = {"embed.weight": p["E"], "head.weight": p["E"]}
    return tied | {site: p[f"block[{rest}, {layer % 2}]"] for site, layer, rest in _layers(shapes)}


def delta(p: Shared, shapes: Shapes) -> Values:
    found: Values = {}
    for site, layer, rest in _layers(shapes):
        if len(shapes[site]) == 2:
            low_rank = p[f"low_rank.B[{site}]"] @ p[f"low_rank.A[{site}]"]
            found[site] = p[f"W[{rest.removesuffix('.weight')}, {layer % 2}]"] + low_rank
    return found


def mix(p: Shared, shapes: Shapes) -> Values:
    found: Values = {}
    for site, _, rest in _layers(shapes, "attn."):
        templates, weights = p[f"D[{rest.split('.')[1]}]"], p[f"mix.a[{site}]"]
        found[site] = weights[0] * templates[0] + weights[1] * templates[1]
    return found


def hashed(p: Shared, shapes: Shapes) -> Values:
    found: Values = {}
    for site, _, rest in _layers(shapes, "mlp."):
        pool = p[f"pool[{rest.split('.')[1]}]"]
        cells = _signed_cells(len(pool), tuple(shapes[site]), site)
        found[site] = pool[cells.abs() - 1] * cells.sign()
    return found


@cache
def _signed_cells(count: int, shape: tuple[int, ...], site: str) -> Tensor:
    """Which cell of the pool each cell reads, from 1, with the sign that it reads it with."""
    return hash_cells(torch.arange(1, count + 1), shape, site)


def rows(p: Shared, shapes: Shapes) -> Values:
    table = torch.stack([p["T"][row // 2] for row in range(2 * len(p["T"]))])
    return {"embed.weight": table, "head.weight": table}


def transposed(p: Shared, shapes: Shapes) -> Values:
    up = {site: p[f"W[{layer // 2}]"] for site, layer, _ in _layers(shapes, "mlp.up")}
    return up | {site: p[f"W[{layer // 2}]"].T for site, layer, _ in _layers(shapes, "mlp.down")}


def scaled_gradient(p: Shared, shapes: Shapes) -> Values:
    table = p["E"]
    return {"embed.weight": table + 4 * (table - table.detach()), "head.weight": table}


def two_towers(p: Shared, shapes: Shapes) -> Values:
    return {site: p[f"trunk[{site.split('.', 2)[2]}]"] for site in shapes}


def lstm(p: Shared, shapes: Shapes) -> Values:
    tied = {"embed.weight": p["embed.weight"], "head.weight": p["embed.weight"]}
    return tied | {f"rnn.bias_{part}_l{layer}": 0.5 * p[f"b[{layer}]"] for part in ("ih", "hh") for layer in (0, 1)}


def hadamard(p: Shared, shapes: Shapes) -> Values:
    values = (p["U"], p["U"] * p["V"], p["V"])
    return {f"layers.{layer}.attn.q.weight": value for layer, value in enumerate(values)}
