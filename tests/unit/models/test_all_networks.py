"""What every network has in common: shapes, the meta device, copies, pickles, first values."""

import copy
import io

import pytest
import torch
from torch import nn

from lightning_tying.models import ConvNet, DecoderLM, EncoderClassifier, EncoderDecoder, RecurrentLM

TOKENS = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
NETWORKS = {
    "decoder": (lambda: DecoderLM(50, 32, 2, 4, kv_heads=2), (TOKENS,), (2, 4, 50)),
    "decoder_gelu": (lambda: DecoderLM(50, 32, 2, 4, activation="gelu"), (TOKENS,), (2, 4, 50)),
    "encoder_decoder": (lambda: EncoderDecoder(50, 32, 2, 4), (TOKENS, TOKENS[:, :3]), (2, 3, 50)),
    "encoder": (lambda: EncoderClassifier(50, 7, 32, 2, 4), (TOKENS,), (2, 7)),
    "convnet": (lambda: ConvNet(1, 10, width=4, blocks=2), (torch.randn(2, 1, 9, 8),), (2, 10)),
    "lstm": (lambda: RecurrentLM(50, 32), (TOKENS,), (2, 4, 50)),
    "gru": (lambda: RecurrentLM(50, 32, kind="gru", dropout=0.1), (TOKENS,), (2, 4, 50)),
}
each = pytest.mark.parametrize("name", NETWORKS)


def make(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...], tuple[int, ...]]:
    torch.manual_seed(0)
    network, inputs, shape = NETWORKS[name]
    return network().eval(), inputs, shape


@each
def test_shape_and_gradients(name):
    network, inputs, shape = make(name)
    logits = network(*inputs)
    assert logits.shape == shape
    logits.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@each
def test_copies_and_pickles_compute_the_same(name):
    network, inputs, _ = make(name)
    expected = network(*inputs)
    assert torch.equal(copy.deepcopy(network)(*inputs), expected)
    file = io.BytesIO()
    torch.save(network, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(*inputs), expected)


@each
def test_built_on_meta_then_reset_equals_built_directly(name):
    network, inputs, _ = make(name)
    with torch.device("meta"):
        empty = NETWORKS[name][0]().eval()
    assert all(p.is_meta for p in empty.parameters())
    empty.to_empty(device="cpu")
    for parameter in [*empty.parameters(), *empty.buffers()]:
        parameter.data.fill_(-1)
    torch.manual_seed(0)
    for module in empty.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert [n for n, _ in empty.named_parameters()] == [n for n, _ in network.named_parameters()]
    for (fqn, new), old in zip(empty.state_dict().items(), network.state_dict().values(), strict=True):
        assert (new == -1).sum() == (old == -1).sum(), f"{fqn} was not reset"
        if new.numel() >= 64:
            assert new.float().std() == pytest.approx(float(old.float().std()), rel=0.5, abs=1e-6), fqn
    assert empty(*inputs).isfinite().all()


@each
def test_every_parameter_belongs_to_a_module_that_can_reset_it(name):
    network, _, _ = make(name)
    for fqn, module in network.named_modules():
        if list(module.parameters(recurse=False)):
            assert hasattr(module, "reset_parameters"), fqn


@each
def test_first_logits_are_of_the_order_of_one(name):
    network, inputs, _ = make(name)
    assert 0.02 < network(*inputs).std() < 2.0


@each
def test_half_precision(name):
    network, inputs, _ = make(name)
    inputs = tuple(x.bfloat16() if x.is_floating_point() else x for x in inputs)
    assert network.bfloat16()(*inputs).dtype == torch.bfloat16


@pytest.mark.parametrize("name", ["decoder", "encoder_decoder", "lstm"])
def test_embedding_and_head_suit_one_tensor(name):
    network, inputs, _ = make(name)
    embed = network.decoder.embed if name == "encoder_decoder" else network.embed
    assert embed.weight.shape == network.head.weight.shape
    network.head.weight = embed.weight
    assert 0.02 < network(*inputs).std() < 2.0


@each
def test_no_buffer_holds_positions(name):
    network, _, _ = make(name)
    assert all("norm" in fqn for fqn, _ in network.named_buffers())
