"""One language for networks that nobody here wrote: torch's own, tied where their tensors are fused or many."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from lightning_tying import discover, make_plan, materialize, tie, untie, verify


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def train_step(module: nn.Module, *inputs: Tensor) -> None:
    out = module(*inputs)
    (out[0] if isinstance(out, tuple) else out).square().mean().backward()
    for parameter in module.parameters():
        assert parameter.grad is not None
    torch.optim.AdamW(module.parameters(), lr=1e-2).step()


def plain_copy(module: nn.Module) -> nn.Module:
    """The same values without any tie: what the tied model must compute."""
    plain = materialize(copy.deepcopy(module))
    untie(plain)
    return plain


SHARED_QK = {
    "share": [
        "{p**}.in_proj_weight = concat(QK[p], QK[p], V[p])".replace("{p**}", "{p*}"),
        "{p*}.in_proj_bias = concat(qk[p], qk[p], v[p])",
    ]
}


def test_fused_projections_of_multihead_attention_share_queries_and_keys() -> None:
    torch.manual_seed(0)
    root = nn.ModuleDict({"attention": nn.MultiheadAttention(16, 4, batch_first=True)}).double()
    tie(root, SHARED_QK)
    attention = root["attention"]
    x = torch.randn(2, 5, 16, dtype=torch.float64)

    q, k, _ = attention.in_proj_weight.chunk(3)
    assert torch.equal(q, k)
    assert count(root) == 2 * 16 * 16 + 2 * 16 + 16 * 16 + 16
    plain = plain_copy(root)["attention"]
    for need_weights in (True, False):
        ours, theirs = attention(x, x, x, need_weights=need_weights), plain(x, x, x, need_weights=need_weights)
        torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-12)
    train_step(attention, x, x, x)
    q, k, _ = attention.in_proj_weight.chunk(3)
    assert torch.equal(q, k)


@pytest.mark.parametrize("training", [True, False])
def test_a_whole_transformer_of_torch(training: bool) -> None:
    torch.manual_seed(0)
    network = nn.Transformer(16, 4, 3, 3, 32, dropout=0.0, batch_first=True).double().train(training)
    before = count(network)
    tie(
        network,
        {
            "share": [
                {
                    "sites": "{s:encoder|decoder}.layers.{l}.{name*}",
                    "equals": "block[s, name, min(l, 1)]",
                    "except": "{s:encoder|decoder}.layers.*.{a:self_attn|multihead_attn}.in_proj_weight",
                },
                "{s:encoder|decoder}.layers.{l}.{a:self_attn|multihead_attn}.in_proj_weight"
                " = concat(Q[s, a, l], Q[s, a, l], V[s, a, l])",
            ]
        },
    )
    source, target = torch.randn(2, 6, 16, dtype=torch.float64), torch.randn(2, 4, 16, dtype=torch.float64)
    plain = plain_copy(network)

    assert count(network) < before
    assert count(plain) == before
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(network(source, target), plain(source, target), rtol=0, atol=1e-12)
    if training:
        train_step(network, source, target)
    verify(network)


def test_the_fast_path_of_the_encoder_reads_derived_values() -> None:
    torch.manual_seed(0)
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2).eval()
    tie(
        encoder,
        {
            "share": [
                "layers.{l}.self_attn.in_proj_weight = concat(Q, K, V)",
                "layers.{l}.self_attn.out_proj.weight = t(O)",
                "layers.{l}.linear1.weight = mix(T, 2)",
            ]
        },
    )
    plain = plain_copy(encoder)
    x, padding = torch.randn(2, 5, 16), torch.tensor([[False] * 5, [False, False, False, True, True]])

    for no_gradient in (torch.no_grad, torch.inference_mode):
        with no_gradient():
            torch.testing.assert_close(encoder(x), plain(x), rtol=0, atol=1e-6)
            ours = encoder(x, src_key_padding_mask=padding)
            torch.testing.assert_close(ours, plain(x, src_key_padding_mask=padding), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_recurrent_layers_of_two_directions(kind: type[nn.RNNBase]) -> None:
    torch.manual_seed(0)
    network = nn.ModuleDict({"rnn": kind(6, 6, 2, bidirectional=True, batch_first=True)}).double()
    spec = {
        "share": [
            {"sites": ["rnn.weight_hh_l{l:int}", "rnn.weight_hh_l{l:int}_reverse"], "equals": "U[l] + low_rank(2)"},
            "rnn.bias_{s:ih|hh}_l{l:int} = b[l]",
            "rnn.bias_{s:ih|hh}_l{l:int}_reverse = 0.5 * b[l]",
        ]
    }
    tie(network, spec)
    x = torch.randn(3, 7, 6, dtype=torch.float64)
    plain = plain_copy(network)

    ours, theirs = network["rnn"](x), plain["rnn"](x)
    torch.testing.assert_close(ours[0], theirs[0], rtol=0, atol=1e-12)
    ours[0].sum().backward()
    copy.deepcopy(network)["rnn"](x)
    assert all(parameter.grad is not None for parameter in network.parameters())
    fresh = nn.ModuleDict({"rnn": kind(6, 6, 2, bidirectional=True, batch_first=True)}).double()
    tie(fresh, spec)
    fresh.load_state_dict(network.state_dict())
    torch.testing.assert_close(fresh["rnn"](x)[0], ours[0], rtol=0, atol=0)


@pytest.mark.parametrize(("kind", "size"), [(nn.Conv1d, (8,)), (nn.Conv2d, (8, 8))])
def test_convolutions_of_one_and_two_dimensions(kind: type[nn.Conv1d] | type[nn.Conv2d], size: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(kind(4, 4, 3, padding=1), nn.Tanh(), kind(4, 4, 3, padding=1)).double()
    last = len(size) + 1
    tie(
        network,
        {"share": [{"sites": ["0.weight"], "equals": "F"}, {"sites": ["2.weight"], "equals": f"flip(F, {last})"}]},
    )
    x = torch.randn(2, 4, *size, dtype=torch.float64)

    assert torch.equal(network[2].weight, network[0].weight.flip(-1))
    torch.testing.assert_close(network(x), plain_copy(network)(x), rtol=0, atol=1e-12)
    train_step(network, x)
    assert torch.equal(network[2].weight, network[0].weight.flip(-1))


def test_the_graph_is_found_again_and_planned_on_meta() -> None:
    with torch.device("meta"):
        network = nn.Transformer(16, 4, 2, 2, 32, batch_first=True)
    spec = {"share": ["{s:encoder|decoder}.layers.{l}.self_attn.in_proj_weight = concat(Q[s], Q[s], V[s, l])"]}
    planned = make_plan(network, spec)
    tie(network, spec)

    assert discover(network).partition() == planned.graph.partition()
    assert sum(group.meta.numel for group in planned.graph.groups) == 2 * 16 * 16 + 4 * 16 * 16
