"""Tables of words: each scheme of the family on a small tree, written from its paper."""

from __future__ import annotations

import itertools
import math

import torch

from tests.gallery.case import Case, Shared, Values, scale_gradient, select
from tests.gallery.hashing import hash_numbers, hashed
from tests.trees import embedding_and_head, encoder_decoder, lstm, stack

VOCABULARY = ("embed.weight", "head.weight")


def tied_embedding(seed: int) -> Case:
    shapes = embedding_and_head(11 + seed, 5) | stack(1, 5, 7)
    return Case(shapes, lambda p: dict.fromkeys(VOCABULARY, p["vocabulary"]))


def tied_lstm(seed: int) -> Case:
    shapes = embedding_and_head(11 + seed, 5) | lstm(5, 5, 2) | {"head.bias": [11 + seed]}
    return Case(shapes, lambda p: dict.fromkeys(VOCABULARY, p["vocabulary"]))


def tied_lstm_one_bias(seed: int) -> Case:
    def values(p: Shared) -> Values:
        biases = {f"rnn.bias_{kind}_l{layer}": p[f"bias[{layer}]"] / 2 for layer in (0, 1) for kind in ("ih", "hh")}
        return dict.fromkeys(VOCABULARY, p["vocabulary"]) | biases

    return Case(tied_lstm(seed).shapes, values)


def three_way_tying(seed: int) -> Case:
    sites = ("encoder.embed.weight", "decoder.embed.weight", "head.weight")
    return Case(encoder_decoder(13 + seed, 3, 5, 1, 1), lambda p: dict.fromkeys(sites, p["vocabulary"]))


def scaled_three_way_tying(seed: int) -> Case:
    d = 3 + 2 * seed

    def values(p: Shared) -> Values:
        scaled = p["E"] * math.sqrt(d)
        return {"encoder.embed.weight": scaled, "decoder.embed.weight": scaled, "head.weight": p["E"]}

    return Case(encoder_decoder(13, d, 5, 1, 1), values)


def balanced_tying(seed: int) -> Case:
    alpha = 0.5 + seed
    return Case(
        embedding_and_head(11, 3 + seed),
        lambda p: {"embed.weight": scale_gradient(p["E"], alpha), "head.weight": p["E"]},
        let={"alpha": alpha},
    )


def factorized_embedding(seed: int) -> Case:
    rows, narrow, d = 17 + seed, 3, 7
    shapes = {"embed.weight": [rows, d], "head.transform.weight": [narrow, d], "head.decoder.weight": [rows, narrow]}

    def values(p: Shared) -> Values:
        table = torch.stack([sum(row[e] * p["P"][e] for e in range(narrow)) for row in p["E"]])
        return {"embed.weight": table, "head.decoder.weight": p["E"]}

    return Case(shapes, values)


def adaptive_input(seed: int) -> Case:
    words, widths, d = (5 + seed, 7, 11), (9, 4, 2), 9
    shapes: dict[str, list[int]] = {}
    for c in range(3):
        shapes |= {f"embed.{c}.table.weight": [words[c], widths[c]], f"embed.{c}.project.weight": [d, widths[c]]}
    shapes["softmax.head.weight"] = [words[0] + 2, d]
    for c in (1, 2):
        shapes |= {
            f"softmax.tail.{c - 1}.0.weight": [widths[c], d],
            f"softmax.tail.{c - 1}.1.weight": [words[c], widths[c]],
        }

    def values(p: Shared) -> Values:
        found = {f"embed.{c}.table.weight": p[f"E[{c}]"] for c in range(3)}
        found |= {f"embed.{c}.project.weight": p[f"P[{c}]"] for c in range(3)}
        found["softmax.head.weight"] = torch.cat([p["E[0]"], p["clusters"]])
        for c in (1, 2):
            found |= {f"softmax.tail.{c - 1}.0.weight": p[f"P[{c}]"].T, f"softmax.tail.{c - 1}.1.weight": p[f"E[{c}]"]}
        return found

    return Case(shapes, values)


def shared_word_vectors(seed: int) -> Case:
    words, buckets = 23 + seed, 5
    clusters = [(3 * word + seed) % 7 for word in range(words)]

    def values(p: Shared) -> Values:
        return {
            "embed.weight": torch.stack([p["T"][cluster] for cluster in clusters]),
            "other.weight": torch.stack([p["U"][hash_numbers(word) % buckets] for word in range(words + 2)]),
        }

    shapes = {"embed.weight": [words, 3], "other.weight": [words + 2, 3]}
    return Case(shapes, values, let={"buckets": buckets}, maps={"clusters": clusters})


def hash_embeddings(seed: int) -> Case:
    words, buckets = 29 + seed, 7

    def values(p: Shared) -> Values:
        importance = (p["scale.s[embed.weight]"], p["scale2.s[embed.weight]"])
        rows = [
            sum(importance[k][word] * p["T"][hash_numbers(word, k + 1) % buckets] for k in range(2))
            for word in range(words)
        ]
        return {"embed.weight": torch.stack(rows)}

    return Case({"embed.weight": [words, 3]}, values, let={"buckets": buckets})


def quotient_remainder(seed: int) -> Case:
    words, collisions = 19 + seed, 3 + seed

    def values(p: Shared) -> Values:
        rows = [p["Q"][word // collisions] * p["R"][word % collisions] for word in range(words)]
        return {"embed.weight": torch.stack(rows)}

    return Case({"embed.weight": [words, 4]}, values, let={"collisions": collisions})


def tensor_train_embedding(seed: int) -> Case:
    rows, columns, rank, words = [2, 3, 5], [3, 1, 2], 2 + seed, 27 + seed

    def cell(p: Shared, row: tuple[int, ...], column: tuple[int, ...]) -> torch.Tensor:
        chain = p["G[0]"][:, row[0], column[0], :]
        for j in (1, 2):
            chain = chain @ p[f"G[{j}]"][:, row[j], column[j], :]
        return chain.reshape(())

    def values(p: Shared) -> Values:
        every_row = list(itertools.product(*map(range, rows)))[:words]
        every_column = list(itertools.product(*map(range, columns)))
        table = torch.stack([torch.stack([cell(p, row, column) for column in every_column]) for row in every_row])
        return dict.fromkeys(VOCABULARY, table)

    let = {"row_sizes": rows, "column_sizes": columns, "r": rank}
    return Case(embedding_and_head(words, 6), values, let=let)


def robe(seed: int) -> Case:
    shapes = {f"tables.{table}.weight": [3 + seed + table, 7] for table in range(3)}

    def values(p: Shared) -> Values:
        return {site: hashed(p["pool"], shape, site, chunk=4 + seed, sign=False) for site, shape in shapes.items()}

    return Case(shapes, values, let={"cells": 19, "piece": 4 + seed})


def _languages(seed: int) -> tuple[int, dict[str, list[int]]]:
    rows = 13 + seed
    return rows, {"de": list(range(9)), "en": [5 + seed + word for word in range(8)]}


def multilingual_vocabulary(seed: int) -> Case:
    rows, maps = _languages(seed)
    alpha = 3.0 + seed
    shapes = {f"{side}.{lang}.weight": [len(maps[lang]), 3] for side in ("embed", "head") for lang in maps}
    shapes |= {f"head.{lang}.bias": [len(maps[lang])] for lang in maps}

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, "weight"):
            rows = torch.stack([p["vocab"][row] for row in maps[site.split(".")[1]]])
            found[site] = scale_gradient(rows, alpha) if site.startswith("embed") else rows
        return found

    files = {lang: {"map": entries, "rows": rows} for lang, entries in maps.items()}
    return Case(shapes, values, let={"alpha": alpha}, maps=files)


def multilingual_vocabulary_projected(seed: int) -> Case:
    rows, maps = _languages(seed)
    widths = {"de": 5, "en": 7}
    shapes = {f"embed.{lang}.weight": [len(maps[lang]), widths[lang]] for lang in maps}

    def values(p: Shared) -> Values:
        return {
            f"embed.{lang}.weight": torch.stack([p["vocab"][row] @ p[f"P[{lang}]"] for row in entries])
            for lang, entries in maps.items()
        }

    files = {lang: {"map": entries, "rows": rows} for lang, entries in maps.items()}
    return Case(shapes, values, let={"width": 4}, maps=files)
