"""Every file of configs/sharing plans on the tree that it is written for, and saves what its comment says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_tying import make_plan, report_savings, tie
from lightning_tying.models import ConvNet, DecoderLM, EncoderClassifier, EncoderDecoder, RecurrentLM
from tests.trees import albert, count, embedding_and_head, encoder_decoder, linear, llama, lstm, stack, tree

FOLDER = Path(__file__).parents[2] / "configs" / "sharing"
FILES = sorted(FOLDER.glob("*.yaml"))


def towers() -> dict[str, list[int]]:
    names = [f"towers.{side}.fc{number}" for side in ("left", "right") for number in (1, 2)]
    return {fqn: shape for name in names for fqn, shape in linear(name, 16, 16)}


def kernels() -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {}
    for stage, width in enumerate((16, 32, 64)):
        for block in range(4):
            inputs = width // 2 if stage and not block else width
            shapes[f"stages.{stage}.{block}.conv1.weight"] = [width, inputs, 3, 3]
            shapes[f"stages.{stage}.{block}.conv2.weight"] = [width, width, 3, 3]
    return shapes


def takase() -> dict[str, list[int]]:
    return encoder_decoder(32_768, 512, 2048, 18, 18)


TREES = [
    ("three_way_tying", encoder_decoder(37_000, 512, 2048, 6, 6), 100_970_496, 63_082_496),
    ("tied_embedding", embedding_and_head(1000, 64) | stack(2, 64, 256), 226_560, 162_560),
    ("albert", albert(768, 3072, 12), 89_650_176, 11_683_584),
    ("albert", albert(1024, 4096, 24), 307_397_120, 17_683_968),
    ("albert", albert(2048, 8192, 24), 1_216_965_120, 58_724_864),
    ("albert_groups", albert(768, 3072, 12), 89_650_176, 25_859_328),
    ("cycle", takase(), 182_747_136, 60_915_712),
    ("sequence", takase(), 182_747_136, 60_915_712),
    ("cycle_rev", takase(), 182_747_136, 60_915_712),
    ("cycle_lm", embedding_and_head(1000, 64) | stack(4, 64, 256), 325_120, 162_560),
    ("sandwich", encoder_decoder(1000, 64, 256, 6, 6), 892_416, 544_128),
    ("mobilellm", llama(60, 576, 1536, 192, 32_000), 249_270_336, 124_635_456),
    ("mobilellm", llama(64, 960, 2560, 320, 32_000), 690_709_440, 345_355_200),
    ("one_wide_ffn", encoder_decoder(1000, 1024, 4096, 6, 6), 179_429_376, 87_098_368),
    ("two_towers", towers(), 1_088, 544),
    ("conv_stack", kernels(), 364_032, 71_424),
    (
        "tied_lstm",
        embedding_and_head(10_000, 200) | lstm(200, 200, 2) | {"head.bias": [10_000]},
        4_653_200,
        2_653_200,
    ),
]


def test_every_file_has_a_tree():
    assert {name for name, *_ in TREES} == {file.stem for file in FILES}


@pytest.mark.parametrize(("name", "shapes", "before", "after"), TREES)
def test_counts_on_its_tree(name, shapes, before, after):
    module = tree(shapes)
    plan = make_plan(module, FOLDER / f"{name}.yaml")
    assert count(module) == before, "make_plan changed the module"
    tie(module, plan)
    assert count(module) == after
    assert str(report_savings(plan))


@pytest.mark.parametrize(
    ("name", "build", "saved"),
    [
        ("three_way_tying", lambda: EncoderDecoder(37_000, 512, 6, 8), 100_970_496 - 63_082_496),
        ("cycle", lambda: EncoderDecoder(32_768, 512, 18, 8), 182_747_136 - 60_915_712),
        ("sequence", lambda: EncoderDecoder(32_768, 512, 18, 8), 182_747_136 - 60_915_712),
        ("cycle_rev", lambda: EncoderDecoder(32_768, 512, 18, 8), 182_747_136 - 60_915_712),
        ("sandwich", lambda: EncoderDecoder(1000, 64, 6), 892_416 - 544_128),
        ("one_wide_ffn", lambda: EncoderDecoder(1000, 1024, 6), 179_429_376 - 87_098_368),
        ("tied_embedding", lambda: DecoderLM(1000, 64, 2), 64_000),
        ("cycle_lm", lambda: DecoderLM(1000, 64, 4, activation="gelu"), 325_120 - 162_560),
        ("albert", lambda: DecoderLM(1000, 64, 6, activation="gelu"), 5 * 49_280),
        ("albert", lambda: EncoderClassifier(1000, 3, 64, 6, activation="gelu"), 5 * 49_280),
        ("albert_groups", lambda: DecoderLM(1000, 64, 6, activation="gelu"), 3 * 49_280),
        ("tied_lstm", lambda: RecurrentLM(10_000, 200), 2_000_000),
        ("conv_stack", lambda: ConvNet(1, 10), 364_032 - 71_424),
    ],
)
def test_saves_as_much_in_the_network_that_it_names(name: str, build: Callable[[], nn.Module], saved: int):
    with torch.device("meta"):
        network = build()
    before = count(network)
    tie(network, FOLDER / f"{name}.yaml")
    assert before - count(network) == saved


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_comment(file: Path):
    text = file.read_text(encoding="utf-8")
    first, *rest = text.splitlines()
    assert first == "# yaml-language-server: $schema=../sharing.schema.json"
    comments = [line for line in rest if line.startswith("#")]
    assert any(re.search(r" (19|20)\d\d, \"", line) for line in comments), "no paper is named"
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize(("name", "after"), [(name, after) for name, _, _, after in TREES])
def test_comment_holds_the_count(name, after):
    assert f"{after:,}" in (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
