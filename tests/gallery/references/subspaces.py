"""Hashed weights, random subspaces and small deltas: each scheme written from its paper."""

from __future__ import annotations

import math

import torch

from tests.gallery.case import Case, Shared, Values, outer, select, split_layer, top_softmax
from tests.gallery.hashing import hashed, normal, uniform
from tests.trees import embedding_and_head, linear, stack

FROZEN = frozenset({"W0"})


def hashed_nets(seed: int) -> Case:
    shapes = dict(linear("fc.0", 7, 5 + seed)) | dict(linear("fc.1", 3, 7))
    weights = select(shapes, "weight")
    return Case(
        shapes,
        lambda p: {site: hashed(p[f"pool[{site.split('.')[1]}]"], shapes[site], site) for site in weights},
        let={"ratio": 3},
    )


def roast(seed: int) -> Case:
    shapes = embedding_and_head(7, 3) | stack(1, 3, 5 + seed)
    matrices = [site for site, shape in shapes.items() if len(shape) == 2]

    def values(p: Shared) -> Values:
        return {site: p[f"scale.s[{site}]"] * hashed(p["pool"], shapes[site], site, chunk=4) for site in matrices}

    return Case(shapes, values, let={"cells": 17, "piece": 4}, frozen=frozenset({"scale.s"}))


def intrinsic_dimension(seed: int) -> Case:
    shapes = dict(linear("fc1", 5, 3 + seed)) | dict(linear("fc2", 2, 5))
    cells = sum(math.prod(shape) for shape in shapes.values())

    def values(p: Shared) -> Values:
        found: Values = {}
        for site, shape in shapes.items():
            directions = normal(site, math.prod(shape), 4)
            found[site] = p[f"W0[{site}]"] + (directions @ p["z"] / math.sqrt(cells)).reshape(shape)
        return found

    return Case(shapes, values, let={"size": 4}, frozen=FROZEN)


def _name(site: str) -> str:
    """`q, 0` of `layers.0.attn.q.weight`."""
    layer, rest = split_layer(site)
    return f"{rest.split('.')[1]}, {layer}"


def vera(seed: int) -> Case:
    d, rank = 3 + seed, 2
    shapes = stack(2, d, 5)

    def values(p: Shared) -> Values:
        down, up = uniform("A", rank, d, math.sqrt(3 / d)), uniform("B", d, rank, math.sqrt(3 / rank))
        found: Values = {}
        for site in [*select(shapes, "attn.q."), *select(shapes, "attn.v.")]:
            delta = torch.diag(p[f"vera.b[{site}]"]) @ up @ torch.diag(p[f"vera.d[{site}]"]) @ down
            found[site] = p[f"W0[{_name(site)}]"] + delta
        return found

    return Case(shapes, values, let={"r": rank}, frozen=FROZEN)


def tied_lora(seed: int) -> Case:
    shapes = stack(2, 3 + seed, 5)
    sites = [site for site in select(shapes, ".attn.") if ".o." not in site]

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in sites:
            delta = torch.diag(p[f"v[{_name(site)}]"]) @ p["B"] @ torch.diag(p[f"u[{_name(site)}]"]) @ p["A"]
            found[site] = p[f"W0[{_name(site)}]"] + delta
        return found

    return Case(shapes, values, let={"rank": 2}, frozen=FROZEN)


def vb_lora(seed: int) -> Case:
    d, rank, bank, piece = 6, 2, 5 + seed, 3
    shapes = stack(2, d, 5)

    def matrix(p: Shared, coefficients: torch.Tensor) -> torch.Tensor:
        pieces = [weights @ p["V"] for weights in top_softmax(coefficients, 2)]
        return torch.cat(pieces).reshape(rank, d)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in [*select(shapes, "attn.q."), *select(shapes, "attn.v.")]:
            up, down = matrix(p, p[f"mix.a[{site}]"]), matrix(p, p[f"mix2.a[{site}]"])
            found[site] = p[f"W0[{_name(site)}]"] + up.T @ down
        return found

    return Case(shapes, values, let={"k": bank, "b": piece, "rank": rank}, frozen=FROZEN)


def compacter(seed: int) -> Case:
    n = 2 + seed % 2
    shapes: dict[str, list[int]] = {}
    for layer in range(2):
        at = f"layers.{layer}.adapter"
        shapes |= {f"{at}.down.weight": [2 * n, 3 * n], f"{at}.up.weight": [3 * n, 2 * n], f"{at}.down.bias": [2 * n]}

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, "weight"):
            name = _name(site)
            products = [
                torch.kron(p[f"A[{name.split(',')[0]}]"][k], outer(p[f"s[{name}]"][k, :, 0], p[f"t[{name}]"][k, 0]))
                for k in range(n)
            ]
            found[site] = sum(products)
        return found

    return Case(shapes, values, let={"n": n})
