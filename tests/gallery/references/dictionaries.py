"""Deltas, dictionaries, templates and products of weights: each scheme written from its paper."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from tests.gallery.case import Case, Shared, Values, outer, select, split_layer
from tests.trees import llama, stack


def relaxed_recursive_transformer(seed: int) -> Case:
    unique, rank = 2, 3 + seed
    shapes = llama(4 + seed, 6, 7, 2)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site, shape in shapes.items():
            layer, rest = split_layer(site)
            if len(shape) == 1:
                found[site] = p[f"norm[{rest}, {layer % unique}]"]
                continue
            name = rest.removesuffix(".weight")
            low, high = p[f"low_rank.A[{name}, {layer}]"], p[f"low_rank.B[{name}, {layer}]"]
            delta = sum(outer(high[:, k], low[k]) for k in range(min(rank, *shape)))
            found[site] = p[f"W[{name}, {layer % unique}]"] + delta
        return found

    return Case(shapes, values, let={"K": unique, "r": rank})


def depth_modulation(seed: int) -> Case:
    shapes = stack(2 + seed, 5, 7)

    def values(p: Shared) -> Values:
        found = {site: p[f"mlp[{site.split('.mlp.')[1]}]"] for site in select(shapes, ".mlp.")}
        for site in select(shapes, ".attn."):
            delta = p[f"low_rank.B[{site}]"] @ p[f"low_rank.A[{site}]"]
            found[site] = p[f"attn[{site.split('.')[3]}]"] + delta
        return found

    return Case(shapes, values, let={"r": 2 + seed})


def zamba2(seed: int) -> Case:
    uses = 3 + seed
    shapes: dict[str, list[int]] = {}
    for use in range(uses):
        at = f"hybrid.{use}.shared"
        shapes |= {f"{at}.attn.{name}.weight": [6, 6] for name in "qkv"} | {f"{at}.attn.o.weight": [3, 6]}
        shapes |= {f"{at}.mlp.{name}.weight": [7, 3] for name in ("gate", "up")} | {f"{at}.mlp.down.weight": [3, 7]}
        shapes |= {f"{at}.norm.weight": [6], f"hybrid.{use}.linear.weight": [3, 3]}

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, ".shared."):
            use, rest = split_layer(site, "hybrid.")
            rest = rest.removeprefix("shared.")
            if rest.startswith("mlp."):
                delta = p[f"low_rank.B[{site}]"] @ p[f"low_rank.A[{site}]"]
                found[site] = p[f"mlp[{rest.split('.')[1]}, {use % 2}]"] + delta
            else:
                found[site] = p[f"block[{rest}, {use % 2}]"]
        return found

    return Case(shapes, values, let={"r": 2})


def residual_transformer(seed: int) -> Case:
    group, rank = 2, 2 + seed
    shapes = stack(4, 5, 7)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in (site for site, shape in shapes.items() if len(shape) == 2):
            layer, rest = split_layer(site)
            diagonal = torch.zeros(shapes[site], dtype=torch.float64)
            for cell in range(min(shapes[site])):
                diagonal = diagonal + p[f"d[{site}]"][cell] * _unit(shapes[site], cell)
            delta = p[f"low_rank.B[{site}]"] @ p[f"low_rank.A[{site}]"]
            found[site] = p[f"W[{rest.removesuffix('.weight')}, {layer // group}]"] + delta + diagonal
        return found

    return Case(shapes, values, let={"K": group, "r": rank})


def _unit(shape: list[int], cell: int) -> Tensor:
    unit = torch.zeros(shape, dtype=torch.float64)
    unit[cell, cell] = 1
    return unit


def masa(seed: int) -> Case:
    atoms = 2 + seed
    shapes = {f"layers.{layer}.attn.{name}.weight": [5, 5] for layer in range(3) for name in "qkvo"}

    def values(p: Shared) -> Values:
        return {
            site: sum(p[f"mix.a[{site}]"][j] * p[f"D[{site.split('.')[3]}]"][j] for j in range(atoms))
            for site in shapes
        }

    return Case(shapes, values, let={"k": atoms})


def dictformer(seed: int) -> Case:
    shapes = stack(3, 5, 7)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, ".attn."):
            layer, rest = split_layer(site)
            name = rest.split(".")[1]
            found[site] = p[f"D[{name}]"] @ p[f"C[{name}, {layer}]"]
        return found

    return Case(shapes, values, let={"atoms": 2 + seed})


def basis_sharing(seed: int) -> Case:
    group, d, ff = 2, 7 + seed, 11
    shapes = {site: [d if size == "d" else ff for size in sizes] for site, sizes in _llama_matrices(4).items()}

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in shapes:
            layer, rest = split_layer(site)
            name = rest.split(".")[1]
            own = {"o_proj": "O", "down_proj": "D"}.get(name)
            basis = p[f"{own}[{site}]"] if own else p[f"B[{name}, {layer // group}]"]
            found[site] = torch.stack([row @ basis for row in p[f"basis.C[{site}]"]])
        return found

    return Case(shapes, values)


def _llama_matrices(depth: int) -> dict[str, tuple[str, str]]:
    sizes = {f"self_attn.{name}_proj": ("d", "d") for name in "qkvo"}
    sizes |= {"mlp.gate_proj": ("f", "d"), "mlp.up_proj": ("f", "d"), "mlp.down_proj": ("d", "f")}
    return {f"model.layers.{layer}.{name}.weight": size for layer in range(depth) for name, size in sizes.items()}


def _kernels(seed: int) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {}
    for stage, width in enumerate((2, 4 + 2 * seed)):
        for block in range(2):
            inputs = 2 if stage and not block else width
            shapes[f"stages.{stage}.{block}.conv1.weight"] = [width, inputs, 3, 3]
            shapes[f"stages.{stage}.{block}.conv2.weight"] = [width, width, 3, 3]
    return shapes


def soft_sharing_templates(seed: int) -> Case:
    shapes, templates = _kernels(seed), 3

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in (site for site, shape in shapes.items() if shape[0] == shape[1]):
            bank = p[f"T[{site.split('.')[1]}]"]
            found[site] = sum(p[f"mix.a[{site}]"][j] * bank[j] for j in range(templates))
        return found

    return Case(shapes, values, let={"k": templates})


def conv_stack(seed: int) -> Case:
    shapes = _kernels(seed)
    sites = [site for site, shape in shapes.items() if shape[0] == shape[1]]
    return Case(shapes, lambda p: {site: p[f"kernel[{site.split('.')[1]}]"] for site in sites})


def shapeshifter(seed: int) -> Case:
    shapes = {"conv1.weight": [4, 3, 3, 3], "conv2.weight": [5 + seed, 4, 3, 3], "fc.weight": [7, 5], "fc.bias": [7]}
    share, candidates = 0.5, 3

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, "weight"):
            rows, rest = shapes[site][0], torch.Size(shapes[site][1:]).numel()
            small = (candidates, int(share * rows), int(share * rest))
            cut = p["P"][: torch.Size(small).numel()].reshape(1, *small)
            large = interpolate(cut, size=(rows, rest), mode="bilinear", align_corners=False)[0]
            powers = p[f"mix.a[{site}]"].exp()
            found[site] = sum(powers[j] / powers.sum() * large[j] for j in range(candidates)).reshape(shapes[site])
        return found

    return Case(shapes, values, let={"p": share, "k": candidates, "cells": 211})


def hadamard_relation(seed: int) -> Case:
    def values(p: Shared) -> Values:
        first, third = p["W1"], p["W3"]
        return {"layers.1.weight": first, "layers.2.weight": first * third, "layers.3.weight": third}

    return Case({f"layers.{layer}.weight": [3 + seed, 5] for layer in (1, 2, 3)}, values)


def batch_ensemble(seed: int) -> Case:
    shapes = {f"members.{i}.fc.weight": [5 + seed, 3] for i in range(3)}
    biases = {f"members.{i}.fc.bias": [5 + seed] for i in range(3)}

    def values(p: Shared) -> Values:
        # scale(scale(W, dim=0), dim=1): the first call, as written, is the outer one, along dimension 1
        return {site: p["W"] * outer(p[f"scale2.s[{site}]"], p[f"scale.s[{site}]"]) for site in shapes}

    return Case(shapes | biases, values)


def packnet(seed: int) -> Case:
    rows, columns = 3 + seed, 5
    masks = {
        f"mask_{task}": [[(i * k + j) % 3 % 2 for j in range(columns)] for i in range(rows)]
        for k, task in ((1, "a"), (2, "b"))
    }

    def values(p: Shared) -> Values:
        return {f"tasks.{task}.fc.weight": p["W"] * torch.tensor(masks[f"mask_{task}"]) for task in "ab"}

    return Case({f"tasks.{task}.fc.weight": [rows, columns] for task in "ab"}, values, maps=masks)
