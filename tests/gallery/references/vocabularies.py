"""Several vocabularies: each scheme of the family on a small tree, written from its paper."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from tests.gallery.case import Case, Shapes, Shared, Values
from tests.gallery.hashing import hashed

Members = dict[str, list[int]]


def _members(seed: int) -> tuple[int, Members]:
    """13 rows and more; 4 and fewer of them are read by both languages."""
    return 13 + seed, {"de": list(range(9)), "en": [5 + seed + word for word in range(8)]}


def _files(rows: int, members: Members, name: str = "rows") -> dict[str, object]:
    return {name: {"members": members, "rows": rows}}


def _embeddings(members: Members, width: int) -> Shapes:
    return {f"embed.{lang}.weight": [len(entries), width] for lang, entries in members.items()}


def _read(table: list[Tensor], entries: list[int]) -> Tensor:
    return torch.stack([table[row] for row in entries])


def united_vocabularies(seed: int) -> Case:
    rows, members = _members(seed)
    shapes = {f"{part}.{lang}.weight": [len(members[lang]), 3] for part in ("embed", "head") for lang in members}
    shapes |= {f"head.{lang}.bias": [len(entries)] for lang, entries in members.items()}

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in shapes:
            family = "bias" if site.endswith("bias") else "vocab"
            found[site] = torch.stack([p[family][row] for row in members[site.split(".")[1]]])
        return found

    return Case(shapes, values, maps=_files(rows, members))


def dictionary_rows(seed: int) -> Case:
    members = {"de": [0, 1, 2, 3, 1, 4 + seed], "en": [2, 0, 4, 1, 5 + seed]}

    def values(p: Shared) -> Values:
        return {f"embed.{lang}.weight": _read(list(p["vocab"]), entries) for lang, entries in members.items()}

    return Case(_embeddings(members, 3), values, maps=_files(6 + seed, members, "dictionary"))


def shared_private_rows(seed: int) -> Case:
    rows, members = _members(seed)
    shared = 2 + seed

    def values(p: Shared) -> Values:
        return {
            f"embed.{lang}.weight": torch.stack(
                [torch.cat([p["vocab"][row], p[f"private[{lang}]"][word]]) for word, row in enumerate(entries)]
            )
            for lang, entries in members.items()
        }

    return Case(_embeddings(members, 7), values, let={"shared": shared}, maps=_files(rows, members))


def projected_vocabularies(seed: int) -> Case:
    rows, members = _members(seed)
    widths = {"de": 5, "en": 7}

    def values(p: Shared) -> Values:
        return {
            f"embed.{lang}.weight": torch.stack([p["vocab"][row] @ p[f"P[{lang}]"] for row in entries])
            for lang, entries in members.items()
        }

    shapes = {f"embed.{lang}.weight": [len(entries), widths[lang]] for lang, entries in members.items()}
    return Case(shapes, values, let={"width": 4}, maps=_files(rows, members))


def factorized_united_rows(seed: int) -> Case:
    rows, members = _members(seed)

    def values(p: Shared) -> Values:
        wide = [sum(row[e] * p["P"][e] for e in range(2)) for row in p["vocab"]]
        return {f"embed.{lang}.weight": _read(wide, entries) for lang, entries in members.items()}

    return Case(_embeddings(members, 5), values, let={"narrow": 2}, maps=_files(rows, members))


def hashed_united_rows(seed: int) -> Case:
    rows, members = _members(seed)

    def values(p: Shared) -> Values:
        table = list(hashed(p["pool"], [rows, 3], "united"))
        return {f"embed.{lang}.weight": _read(table, entries) for lang, entries in members.items()}

    return Case(_embeddings(members, 3), values, let={"cells": 17}, maps=_files(rows, members))


def quotient_remainder_united_rows(seed: int) -> Case:
    rows, members = _members(seed)
    collisions = 3 + seed

    def values(p: Shared) -> Values:
        table = [p["Q"][row // collisions] * p["R"][row % collisions] for row in range(rows)]
        return {f"embed.{lang}.weight": _read(table, entries) for lang, entries in members.items()}

    return Case(_embeddings(members, 3), values, let={"collisions": collisions}, maps=_files(rows, members))


def tensor_train_united_rows(seed: int) -> Case:
    rows, members = _members(seed)
    row_sizes, column_sizes = [4, 2, 2], [1, 3, 2]

    def make_row(p: Shared, row: tuple[int, ...]) -> Tensor:
        cells: list[Tensor] = []
        for column in itertools.product(*map(range, column_sizes)):
            chain = p["G[0]"][:, row[0], column[0], :]
            for j in (1, 2):
                chain = chain @ p[f"G[{j}]"][:, row[j], column[j], :]
            cells.append(chain.reshape(()))
        return torch.stack(cells)

    def values(p: Shared) -> Values:
        table = [make_row(p, row) for row in itertools.product(*map(range, row_sizes))]
        return {f"embed.{lang}.weight": _read(table, entries) for lang, entries in members.items()}

    let = {"row_sizes": row_sizes, "column_sizes": column_sizes, "r": 2 + seed}
    return Case(_embeddings(members, 6), values, let=let, maps=_files(rows, members))
