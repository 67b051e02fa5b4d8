"""FQNs and counts are those of the published trees; everything on the meta device."""

import pytest
import torch

from lightning_tying.models import ConvNet, DecoderLM, EncoderClassifier, EncoderDecoder, RecurrentLM


@pytest.fixture(autouse=True)
def on_meta():
    with torch.device("meta"):
        yield


def shapes(network):
    return {fqn: tuple(p.shape) for fqn, p in network.named_parameters()}


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"vocab_size": 1000, "dim": 64, "hidden": 256}, 892_416),
        ({"vocab_size": 37000, "dim": 512, "hidden": 2048, "heads": 8}, 100_970_496),
        ({"vocab_size": 32768, "dim": 512, "hidden": 2048, "depth": 18}, 182_747_136),
        ({"vocab_size": 1000, "dim": 1024, "hidden": 4096}, 179_429_376),
        ({"vocab_size": 1000, "dim": 64, "hidden": 256, "encoder_depth": 12, "decoder_depth": 2}, 925_312),
    ],
)
def test_encoder_decoder_counts(arguments, expected):
    assert count(EncoderDecoder(**arguments)) == expected


def test_encoder_decoder_tree():
    found = shapes(EncoderDecoder(100, 8, 1, 2, 16))
    expected = {f"{name}.weight": (100, 8) for name in ("encoder.embed", "decoder.embed", "head")}
    for layer in ("encoder.layers.0", "decoder.layers.0"):
        sides = ("self_attn", "cross_attn") if layer.startswith("decoder") else ("self_attn",)
        maps = {f"{side}.{m}": (8, 8) for side in sides for m in "qkvo"} | {"fc1": (16, 8), "fc2": (8, 16)}
        norms = ("norm1", "norm2", "norm3") if layer.startswith("decoder") else ("norm1", "norm2")
        for name, shape in maps.items():
            expected |= {f"{layer}.{name}.weight": shape, f"{layer}.{name}.bias": shape[:1]}
        for name in norms:
            expected |= {f"{layer}.{name}.weight": (8,), f"{layer}.{name}.bias": (8,)}
    assert found == expected


@pytest.mark.parametrize(("depth", "dim", "expected"), [(6, 64, 295_680), (4, 64, 197_120), (12, 64, 591_360)])
def test_gelu_decoder_layers_are_the_plain_stack(depth, dim, expected):
    network = DecoderLM(1000, dim, depth, 8, activation="gelu")
    assert count(network.layers) == expected
    assert count(network) == expected + 2 * 1000 * dim + dim


def test_decoder_tree():
    found = shapes(DecoderLM(100, 32, 1, 4, kv_heads=2, hidden=64))
    assert found == {
        "embed.weight": (100, 32),
        "layers.0.norm1.weight": (32,),
        "layers.0.attn.q.weight": (32, 32),
        "layers.0.attn.k.weight": (16, 32),
        "layers.0.attn.v.weight": (16, 32),
        "layers.0.attn.o.weight": (32, 32),
        "layers.0.norm2.weight": (32,),
        "layers.0.mlp.gate.weight": (64, 32),
        "layers.0.mlp.up.weight": (64, 32),
        "layers.0.mlp.down.weight": (32, 64),
        "norm.weight": (32,),
        "head.weight": (100, 32),
    }


def test_encoder_has_the_decoders_layers():
    decoder, encoder = shapes(DecoderLM(100, 32, 2, 4)), shapes(EncoderClassifier(100, 3, 32, 2, 4))
    heads = {"head.weight": (3, 32), "head.bias": (3,)}
    assert encoder == {fqn: shape for fqn, shape in decoder.items() if not fqn.startswith("head.")} | heads


def test_recurrent_count_of_press_and_wolf():
    assert count(RecurrentLM(10_000, 200, 2)) == 4_653_200
    assert count(RecurrentLM(10_000, 200, 2, bias=False)) == 4_643_200


def test_convnet_kernels():
    kernels = {fqn: shape for fqn, shape in shapes(ConvNet(1, 10)).items() if ".conv" in fqn}
    assert sum(torch.Size(shape).numel() for shape in kernels.values()) == 364_032
    other = {fqn for fqn, shape in kernels.items() if shape[0] != shape[1]}
    assert other == {"stages.1.0.conv1.weight", "stages.2.0.conv1.weight"}


@pytest.mark.parametrize(("activation", "hidden"), [("swiglu", 704), ("gelu", 1024)])
def test_default_hidden(activation, hidden):
    assert DecoderLM(10, 256, 1, activation=activation).layers[0].mlp.up.weight.shape == (hidden, 256)
