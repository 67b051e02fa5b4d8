"""Inside attention: heads, queries and keys, fused projections; each scheme written from its paper."""

from __future__ import annotations

import torch

from tests.gallery.case import Case, Shared, Values, select, split_layer
from tests.trees import stack


def _read_groups(seed: int, heads: int, size: int, let: dict[str, int]) -> Case:
    """Head h reads head ⌊h / size⌋ of a narrower projection."""
    width, d = 2, 2 * heads
    shapes = stack(2, d, 5 + seed)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in [*select(shapes, "attn.k."), *select(shapes, "attn.v.")]:
            layer, rest = split_layer(site)
            narrow = p[f"KV[{rest.split('.')[1]}, {layer}]"].reshape(heads // size, width, d)
            found[site] = torch.stack([narrow[head // size] for head in range(heads)]).reshape(d, d)
        return found

    return Case(shapes, values, let=let | {"width": width})


def multi_query_attention(seed: int) -> Case:
    return _read_groups(seed, 3 + seed, 3 + seed, {"heads": 3 + seed})


def grouped_query_attention(seed: int) -> Case:
    return _read_groups(seed, 2 * (2 + seed), 2 + seed, {"size": 2 + seed})


def shared_qk(seed: int) -> Case:
    shapes = stack(2 + seed, 3, 5)
    sites = [*select(shapes, "attn.q."), *select(shapes, "attn.k.")]
    return Case(shapes, lambda p: {site: p[f"QK[{split_layer(site)[0]}]"] for site in sites})


def fused_shared_qk(seed: int) -> Case:
    d = 3 + seed
    shapes: dict[str, list[int]] = {}
    for layer in range(2):
        shapes |= {
            f"layers.{layer}.self_attn.in_proj_weight": [3 * d, d],
            f"layers.{layer}.self_attn.in_proj_bias": [3 * d],
        }
        shapes[f"transformer.h.{layer}.attn.c_attn.weight"] = [d, 3 * d]

    def values(p: Shared) -> Values:
        found: Values = {}
        for layer in range(2):
            weights, biases = [p[f"QK[{layer}]"]] * 2, [p[f"qk[{layer}]"]] * 2
            found[f"layers.{layer}.self_attn.in_proj_weight"] = torch.cat([*weights, p[f"V[{layer}]"]])
            found[f"layers.{layer}.self_attn.in_proj_bias"] = torch.cat([*biases, p[f"v[{layer}]"]])
            columns = [p[f"R[{layer}]"], p[f"R[{layer}]"], p[f"S[{layer}]"]]
            found[f"transformer.h.{layer}.attn.c_attn.weight"] = torch.cat(columns, dim=1)
        return found

    return Case(shapes, values)


def one_matrix_three_diagonals(seed: int) -> Case:
    shapes = stack(2, 3 + seed, 5)
    sites = [site for site in select(shapes, ".attn.") if ".o." not in site]

    def values(p: Shared) -> Values:
        return {site: torch.diag(p[f"scale.s[{site}]"]) @ p[f"W[{split_layer(site)[0]}]"] for site in sites}

    return Case(shapes, values)


def head_wise_sharing(seed: int) -> Case:
    width, heads, bank = 2, 3 + seed, 7
    d = width * heads
    shapes = stack(2, d, 5)
    maps = {f"heads{layer}": [(3 * head + layer + seed) % bank for head in range(heads)] for layer in range(2)}

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in [*select(shapes, "attn.q."), *select(shapes, "attn.k.")]:
            layer, rest = split_layer(site)
            whole = p[f"heads[{rest.split('.')[1]}]"]
            parts = [whole[width * head : width * head + width] for head in maps[f"heads{layer}"]]
            found[site] = torch.cat(parts)
        return found

    files = {name: {"map": entries, "rows": bank} for name, entries in maps.items()}
    return Case(shapes, values, let={"width": width}, maps=files)
