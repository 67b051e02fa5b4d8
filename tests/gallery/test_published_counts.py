"""Figures of the papers beside the schemes: variants, added parameters, ranks, and what does not follow."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from lightning_tying import make_plan
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.spec import SharingSpec, load_spec
from tests import trees
from tests.gallery.schemes import SCHEMES, make_shapes

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")


def plan(shapes: trees.Shapes, spec: SharingSpec | Sequence[str | dict[str, object]]) -> SharingGraph:
    written = spec if isinstance(spec, SharingSpec) else load_spec({"share": list(spec)})
    return make_plan(trees.tree(shapes), written).graph


def count(graph: SharingGraph) -> int:
    return sum(group.meta.numel for group in graph.groups) + sum(meta.numel for _, meta in graph.private)


def bert(width: int) -> dict[str, Sequence[int]]:
    """ALBERT base with embeddings of another width; at the layers' own width there is no projection."""
    shapes = {fqn: shape for fqn, shape in trees.albert().items() if not fqn.startswith("embed.")}
    for name, rows in (("word", 30000), ("position", 512), ("kind", 2)):
        shapes[f"embed.{name}.weight"] = [rows, width]
    projection = dict(trees.linear("embed.project", 768, width)) if width != 768 else {}
    return shapes | dict(trees.norm("embed.norm", width)) | projection


ALL, ATTENTION, FFN = "layers.{l}.{name*}", "layers.{l}.attention.{name*}", "layers.{l}.ffn.{name*}"


@pytest.mark.parametrize(
    ("width", "shared", "counted"),
    [
        # Lan et al. 2020, tables 3 and 4: 10M, 12M, 16M, 31M and 87M, 89M, 93M, 108M; 12M, 64M, 38M; 31M, 83M, 57M
        (64, ALL, 9_681_408),
        (128, ALL, 11_683_584),
        (256, ALL, 15_687_936),
        (768, ALL, 31_114_752),
        (64, None, 87_648_000),
        (128, None, 89_650_176),
        (256, None, 93_654_528),
        (768, None, 109_081_344),
        (128, ATTENTION, 63_647_232),
        (128, FFN, 37_686_528),
        (768, ATTENTION, 83_078_400),
        (768, FFN, 57_117_696),
    ],
)
def test_what_albert_shares(width: int, shared: str | None, counted: int) -> None:
    shapes = bert(width)
    assert (count(plan(shapes, [f"{shared} = block[name]"])) if shared else trees.count(trees.tree(shapes))) == counted


@pytest.mark.parametrize(
    ("depth", "d", "ff", "kv", "vocabulary", "counted"),
    [
        (30, 576, 1536, 192, 32_000, 124_635_456),  # MobileLLM 125M
        (32, 960, 2560, 320, 32_000, 345_355_200),
        (40, 1152, 3072, 384, 32_000, 603_188_352),
        (54, 1280, 3584, 320, 32_000, 1_005_461_760),
        (54, 1600, 4352, 320, 32_000, 1_511_188_800),
        (30, 576, 1536, 192, 49_152, 134_515_008),  # SmolLM 135M
        (32, 960, 2560, 320, 49_152, 361_821_120),
    ],
)
def test_small_models_with_tied_embeddings(depth: int, d: int, ff: int, kv: int, vocabulary: int, counted: int) -> None:
    graph = plan(trees.llama(depth, d, ff, kv, vocabulary), [{"tie": ["model.embed_tokens.weight", "lm_head.weight"]}])
    assert count(graph) == counted


@pytest.mark.parametrize(
    ("equations", "networks"),
    [
        # Pires et al. 2023, tables 2 and 3: by how many feed-forward networks of 8,393,728 the model shrinks
        (["encoder.layers.{l}.{m:fc1|fc2}.{p} = ffn[m, p]"], 5),
        (["decoder.layers.{l}.{m:fc1|fc2}.{p} = ffn[m, p]"], 5),
        (["{s:encoder|decoder}.layers.{l}.{m:fc1|fc2}.{p} = ffn[s, m, p]"], 10),
        (["{s:encoder|decoder}.layers.{l}.{m:fc1|fc2}.{p} = ffn[m, p]"], 11),
    ],
)
def test_shared_feed_forward_networks(equations: list[str], networks: int) -> None:
    shapes = trees.encoder_decoder(1000, 1024, 4096, 6, 6)
    assert trees.count(trees.tree(shapes)) - count(plan(shapes, equations)) == networks * 8_393_728


@pytest.mark.parametrize(("depth", "d", "added"), [(12, 768, 294_912), (24, 1024, 786_432)])
def test_lora_on_queries_and_values_of_roberta(depth: int, d: int, added: int) -> None:
    """Hu et al. 2022, table 2: 0.3M and 0.8M at rank 8."""
    shapes = trees.stack(depth, d, 4 * d)
    graph = plan(shapes, ["layers.{l}.attn.{m:q|v}.weight = W0[m, l] + low_rank(8)"])
    assert count(graph) - trees.count(trees.tree(shapes)) == added


def test_ranks_of_basis_sharing() -> None:
    """k = ⌊n_x · n_f · n · (1 - c) / (n_x + n_f · n)⌋ at c = 20 %, LLaMA-7B, as the paper's code has it."""
    [published] = SCHEMES["basis_sharing"].counts
    graph = plan(make_shapes(published.tree), load_spec(SCHEMES["basis_sharing"].file))

    ranks = {name: group.meta.shape[0] for group in graph.groups if (name := _matrix(str(group.name)))}

    assert ranks == {"q": 2184, "k": 2184, "v": 2184, "up": 2762, "gate": 2762, "o": 1638, "down": 2388}


def _matrix(name: str) -> str | None:
    """`q` of `B[q_proj, 3]`, `o` of `O[model.layers.0.self_attn.o_proj.weight]`; nothing for the coefficients."""
    found = re.search(r"[\[.]([a-z]+)_proj", name)
    return found[1] if found and not name.startswith("basis.") else None


@pytest.mark.parametrize(("ratio", "cells"), [(8, 99_250), (64, 12_406)])
def test_cells_of_hashed_nets(ratio: int, cells: int) -> None:
    published = SCHEMES["hashed_nets"].counts[0]
    graph = plan(make_shapes(published.tree), load_spec(SCHEMES["hashed_nets"].file, let={"ratio": ratio}))
    assert sum(group.meta.numel for group in graph.groups) == cells


@pytest.mark.parametrize(
    ("published", "counted", "deviation"),
    [
        # Lan et al. 2020, table 1: 235M for xxlarge does not follow from its dimensions, the other three do
        (235_000_000, SCHEMES["albert"].counts[3].after, -0.053),
        # Vaswani et al. 2017, table 3: 65M for the base model with one table of about 37,000 pieces
        (65_000_000, SCHEMES["three_way_tying"].counts[0].after, -0.030),
        # Pires et al. 2023: 228M for Transformer-big; with a joint vocabulary of 32,768 it has 209.9M
        (228_000_000, 32_768 * 1024 + 6 * 12_596_224 + 6 * (12_596_224 + 4 * (1024 * 1024 + 1024) + 2 * 1024), -0.079),
    ],
)
def test_figures_that_do_not_follow_from_the_dimensions(published: int, counted: int, deviation: float) -> None:
    assert counted / published - 1 == pytest.approx(deviation, abs=5e-4)
