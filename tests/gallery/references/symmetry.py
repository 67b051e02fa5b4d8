"""Symmetries written into weights: each scheme written from its paper, cell by cell."""

from __future__ import annotations

import torch

from tests.gallery.case import Case, Shared, Values
from tests.trees import linear


def convolution(seed: int) -> Case:
    inputs, size = 7 + seed, 3
    outputs = inputs - size + 1

    def values(p: Shared) -> Values:
        zero = torch.zeros((), dtype=torch.float64)
        rows = [
            torch.stack([p["k"][j - i] if 0 <= j - i < size else zero for j in range(inputs)]) for i in range(outputs)
        ]
        return {"fc.weight": torch.stack(rows)}

    return Case({"fc.weight": [outputs, inputs]}, values, let={"size": size})


def p4_convolution(seed: int) -> Case:
    filters, channels = 2 + seed, 3
    shapes = {"lift.weight": [4 * filters, channels, 3, 3], "conv.weight": [4 * (3 + seed), 4 * filters, 3, 3]}

    def values(p: Shared) -> Values:
        lifted = torch.cat([torch.rot90(p["F"], turn, (-2, -1)) for turn in range(4)])
        # output rotation r reads input rotation s through the filter of s - r, turned r times
        hidden = [
            torch.cat([torch.rot90(p["H"][:, (s - r) % 4], r, (-2, -1)) for s in range(4)], dim=1) for r in range(4)
        ]
        return {"lift.weight": lifted, "conv.weight": torch.cat(hidden)}

    return Case(shapes, values)


def crelu(seed: int) -> Case:
    def values(p: Shared) -> Values:
        return {"conv.weight": torch.cat([p["W"], -p["W"]])}

    return Case({"conv.weight": [2 * (2 + seed), 3, 3, 3]}, values)


def reverse_complement(seed: int) -> Case:
    filters, width = 2 + seed, 5

    def values(p: Shared) -> Values:
        opposite = torch.stack(
            [
                torch.stack([p["W"][filters - 1 - o, 3 - i, torch.arange(width - 1, -1, -1)] for i in range(4)])
                for o in range(filters)
            ]
        )
        biases = torch.stack([p["b"][filters - 1 - o] for o in range(filters)])
        return {"conv.weight": torch.cat([p["W"], opposite]), "conv.bias": torch.cat([p["b"], biases])}

    return Case({"conv.weight": [2 * filters, 4, width], "conv.bias": [2 * filters]}, values)


def orbits(seed: int) -> Case:
    members, around = 4 + seed, 5 + seed

    def values(p: Shared) -> Values:
        deepset = [[p["w"][int(i == j)] for j in range(members)] for i in range(members)]
        ring = [[p["c"][(j - i) % around] for j in range(around)] for i in range(around)]
        return {
            "deepset.weight": torch.stack([torch.stack(row) for row in deepset]),
            "ring.weight": torch.stack([torch.stack(row) for row in ring]),
        }

    shapes = dict(linear("deepset", members, members, bias=False)) | dict(linear("ring", around, around, bias=False))
    return Case(shapes, values)
