"""Parameters before and after, for every scheme of the gallery that aliases can do, and for the published models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.passes.pipeline import plan_graph
from lightning_tying.spec.loader import load_spec
from tests import trees

Shapes = Mapping[str, Sequence[int]]

THREE_WAY = "tie: [encoder.embed.weight, decoder.embed.weight, head.weight]"
TAKASE = trees.encoder_decoder(32768, 512, 2048, 18, 18)
MOBILE = "model.layers.{l}.{name*} = block[name, l // 2]"
MOBILE_TIE = "tie: [model.embed_tokens.weight, lm_head.weight]"
WIDE = trees.encoder_decoder(1000, 1024, 4096, 6, 6)
SMALL = trees.encoder_decoder(1000, 64, 256, 6, 6)
LSTM = trees.embedding_and_head(10000, 200) | trees.lstm(200, 200, 2) | {"head.bias": [10000]}
HEADS = {f"heads.{h}.{name}": shape for h in range(5) for name, shape in (("weight", [16, 32]), ("bias", [16]))}
TOWERS = dict(
    part for side in ("left", "right") for i in (1, 2) for part in trees.linear(f"towers.{side}.fc{i}", 16, 16)
)
TRUNK = dict(
    part
    for model, classes in (("pos", 12), ("ner", 9), ("cls", 2))
    for name, rows, columns in (("trunk.0", 16, 8), ("trunk.2", 16, 16), ("head", classes, 16))
    for part in trees.linear(f"models.{model}.{name}", rows, columns)
)
PERCEIVER = dict(
    part
    for block in range(8)
    for name in ("cross.q", "latent.fc")
    for part in trees.linear(f"blocks.{block}.{name}", 32, 32)
)
STEPS = trees.stack(6, 64, 256) | {f"step.{t}.weight": [64] for t in range(6)}

SCHEMES: dict[str, tuple[Shapes, Sequence[object], int, int]] = {
    "A1 tie": (LSTM, ["tie: [embed.weight, head.weight]"], 4_653_200, 2_653_200),
    "A2": (trees.encoder_decoder(37000, 512, 2048, 6, 6), [THREE_WAY], 100_970_496, 63_082_496),
    "B1": (STEPS, ["layers.{l}.{name*} = block[name]"], 296_064, 49_664),
    "B2": (
        SMALL,
        ["'{s:encoder|decoder}.layers.{l}.{name*} = block[s, name]'", "tie: [decoder.embed.weight, head.weight]"],
        892_416,
        244_736,
    ),
    "B3": (trees.albert(), ["layers.{l}.{name*} = block[name]"], 89_650_176, 11_683_584),
    "B3 attention": (trees.albert(), ["layers.{l}.attention.{name*} = block[name]"], 89_650_176, 63_647_232),
    "B3 ffn": (trees.albert(), ["layers.{l}.ffn.{name*} = block[name]"], 89_650_176, 37_686_528),
    "B3 large": (
        trees.albert(1024, 4096, 24),
        ["layers.{l}.{name*} = block[name]"],
        24 * 12_596_224 + 5_087_744,
        17_683_968,
    ),
    "B3 xlarge": (
        trees.albert(2048, 8192, 24),
        ["layers.{l}.{name*} = block[name]"],
        24 * 50_358_272 + 8_366_592,
        58_724_864,
    ),
    "B4 cycle_rev": (
        TAKASE,
        ["'{s:encoder|decoder}.layers.{l}.{name*} = block[s, name, cycle_rev(l, 6)]'", THREE_WAY],
        182_747_136,
        60_915_712,
    ),
    "B4 cycle": (
        TAKASE,
        ["'{s:encoder|decoder}.layers.{l}.{name*} = block[s, name, cycle(l, 6)]'", THREE_WAY],
        182_747_136,
        60_915_712,
    ),
    "B4 sequence": (
        TAKASE,
        ["'{s:encoder|decoder}.layers.{l}.{name*} = block[s, name, sequence(l, 6)]'", THREE_WAY],
        182_747_136,
        60_915_712,
    ),
    "B5": (
        SMALL,
        [
            'sites: "{s:encoder|decoder}.layers.{l}.{m:self_attn.*|cross_attn.*|fc1|fc2}.{p:weight|bias}"\n'
            "    equals: block[s, m, p, sandwich(l)]"
        ],
        892_416,
        544_128,
    ),
    "B6 125M": (trees.llama(60, 576, 1536, 192, 32000), [MOBILE, MOBILE_TIE], 249_270_336, 124_635_456),
    "B6 350M": (trees.llama(64, 960, 2560, 320, 32000), [MOBILE, MOBILE_TIE], 690_709_440, 345_355_200),
    "B7": (
        trees.llama(32, 960, 2560, 320),
        ["sites: model.layers.{l}.{name*}\n    equals: block[name, middle_cycle(l, 15)]\n    init: stepwise"],
        314_634_240,
        167_149_440,
    ),
    "B7 three": (
        trees.llama(32, 960, 2560, 320),
        ["model.layers.{l}.{name*} = block[name, middle_cycle(l, 10)]"],
        314_634_240,
        117_987_840,
    ),
    "B7 four": (
        trees.llama(34, 960, 2560, 320),
        ["model.layers.{l}.{name*} = block[name, middle_cycle(l, 8)]"],
        334_298_880,
        98_323_200,
    ),
    "B11": (WIDE, ["'{s:encoder|decoder}.layers.{l}.{m:fc1|fc2}.{p} = ffn[m, p]'"], 179_429_376, 87_098_368),
    "B11 encoder": (WIDE, ["encoder.layers.{l}.{m:fc1|fc2}.{p} = ffn[m, p]"], 179_429_376, 179_429_376 - 5 * 8_393_728),
    "B19": (SMALL, ["'{s:encoder|decoder}.layers.{l}.{name*} = block[name, l]'"], 892_416, 592_512),
    "B19 EdgeFormer": (
        trees.encoder_decoder(1000, 64, 256, 12, 2),
        ["'{s:encoder|decoder}.layers.{l}.{m:fc1|fc2}.{p} = ffn[m, p, l % 2]'"],
        925_312,
        528_256,
    ),
    "B21": (HEADS, ["heads.{h}.weight = W"], 2_640, 592),
    "C6": (trees.stack(4, 64, 256), ["layers.{l}.attn.{m:q|k}.weight = QK[l]"], 197_120, 180_736),
    "F3": (
        trees.lstm(10, 20, 3, bidirectional=True),
        ['sites: ["rnn.{p}_l{l:int}", "rnn.{p}_l{l:int}_reverse"]\n    equals: cell[p, min(l, 1)]'],
        24_960,
        7_520,
    ),
    "G1": (TOWERS, ["towers.{t}.{name*} = trunk[name]"], 1_088, 544),
    "G2": (TRUNK, ["models.{m}.trunk.{name*} = trunk[name]"], 1_639, 807),
    "Perceiver": (PERCEIVER, ["blocks.{b}.{name*} = block[name, min(b, 1)]"], 16_896, 4_224),
}


def count_graph(graph: SharingGraph) -> int:
    return sum(group.meta.numel for group in graph.groups) + sum(meta.numel for _, meta in graph.private)


def plan(shapes: Shapes, entries: Sequence[object], head: str = "") -> SharingGraph:
    text = "\n".join(["version: 1", *([head] if head else []), "share:", *(f"  - {entry}" for entry in entries)])
    return plan_graph(load_spec(text), take_inventory(trees.tree(shapes)))


@pytest.mark.parametrize("name", SCHEMES)
def test_parameters_before_and_after(name: str) -> None:
    shapes, entries, before, after = SCHEMES[name]

    graph = plan(shapes, entries)

    assert trees.count(trees.tree(shapes)) == before
    assert count_graph(graph) == after
    assert not graph.warnings


@pytest.mark.parametrize(
    ("groups", "after"),
    [(1, 11_683_584), (2, 18_771_456), (3, 25_859_328), (4, 32_947_200), (6, 47_122_944), (12, 89_650_176)],
)
def test_albert_with_hidden_groups(groups: int, after: int) -> None:
    graph = plan(
        trees.albert(), ["layers.{l}.{name*} = block[name, sequence(l, groups)]"], f"let: {{groups: {groups}}}"
    )

    assert count_graph(graph) == after


def test_a_list_of_layers() -> None:
    order = "let: {order: [0, 0, 1, 2, 2, 1, 0, 3]}"

    graph = plan(trees.stack(8, 64, 256), ["layers.{l}.{name*} = block[name, order[l]]"], order)

    assert count_graph(graph) == 197_120
