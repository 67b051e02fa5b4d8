"""Every file of configs/sharing says what it is, and saves as much in the network that it names as in its tree."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.models import ConvNet, DecoderLM, EncoderClassifier, EncoderDecoder, RecurrentLM
from tests.gallery.schemes import CONFIGS, SCHEMES
from tests.trees import count

FILES = sorted(CONFIGS.glob("*.yaml"))


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
        ("tied_lstm_one_bias", lambda: RecurrentLM(10_000, 200), 2_001_600),
        ("soft_sharing_templates", lambda: ConvNet(1, 10), 364_032 - 216_664),
        ("tied_transformer", lambda: EncoderDecoder(1000, 64, 6), 892_416 - 592_512),
        ("recurrent_stacking", lambda: EncoderDecoder(1000, 64, 6), 892_416 - 244_736),
        ("conv_stack", lambda: ConvNet(1, 10), 364_032 - 71_424),
    ],
)
def test_saves_as_much_in_the_network_that_it_names(name: str, build: Callable[[], nn.Module], saved: int):
    with torch.device("meta"):
        network = build()
    before = count(network)
    tie(network, CONFIGS / f"{name}.yaml")
    assert before - count(network) == saved


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_comment(file: Path):
    text = file.read_text(encoding="utf-8")
    first, sentence, *rest = text.splitlines()
    assert first == "# yaml-language-server: $schema=../sharing.schema.json"
    assert re.fullmatch(r"# [^:]+: .+\.", sentence), "the name of the scheme and what it does, in one line"
    comments = [line for line in rest if line.startswith("#")]
    assert any(re.search(r" (19|20)\d\d(, \"| \()", line) for line in comments), "no paper is named"
    assert all(len(line) <= 120 for line in text.splitlines())


@pytest.mark.parametrize("name", SCHEMES)
def test_comment_holds_the_counts(name: str):
    text = SCHEMES[name].file.read_text(encoding="utf-8")
    first, *_ = SCHEMES[name].counts
    assert f"{first.before:,} → {first.after:,}" in " ".join(text.replace("\n#", "").split())
