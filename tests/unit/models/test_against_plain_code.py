"""The networks against the formulas written down once more, with loops and nothing of `models` but the weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.models import DecoderLM, EncoderDecoder, RecurrentLM


def rms(x, weight):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * weight


def turn(x, position):
    """Rotary positions, pair by pair: [channels] at one position (Su et al. 2021, eq. 15, in Llama's layout)."""
    half = x.shape[0] // 2
    out = x.clone()
    for i in range(half):
        angle = position * 10_000.0 ** (-2 * i / x.shape[0])
        a, b = x[i], x[i + half]
        out[i], out[i + half] = a * math.cos(angle) - b * math.sin(angle), a * math.sin(angle) + b * math.cos(angle)
    return out


def look(q, k, v, seen):
    """One head: queries [T, c], keys and values [S, c], seen(t, s)."""
    rows = []
    for t in range(q.shape[0]):
        places = [s for s in range(k.shape[0]) if seen(t, s)]
        weights = torch.stack([q[t] @ k[s] / math.sqrt(q.shape[1]) for s in places]).softmax(0)
        rows.append(sum(w * v[s] for w, s in zip(weights, places, strict=True)))
    return torch.stack(rows)


def plain_decoder(w, tokens, depth, heads, kv_heads, activation):
    dim = w["embed.weight"].shape[1]
    c = dim // heads
    x = w["embed.weight"][tokens] * 2 * math.sqrt(dim)
    for layer in range(depth):
        p = {name.removeprefix(f"layers.{layer}."): v for name, v in w.items() if name.startswith(f"layers.{layer}.")}
        h = rms(x, p["norm1.weight"])
        q, k, v = (h @ p[f"attn.{n}.weight"].T for n in "qkv")
        parts = []
        for head in range(heads):
            group = head // (heads // kv_heads)
            mine = q[:, head * c : head * c + c], *(z[:, group * c : group * c + c] for z in (k, v))
            turned = [torch.stack([turn(row, t) for t, row in enumerate(z)]) for z in mine[:2]]
            parts.append(look(*turned, mine[2], lambda t, s: s <= t))
        x = x + torch.cat(parts, -1) @ p["attn.o.weight"].T
        h = rms(x, p["norm2.weight"])
        up = h @ p["mlp.up.weight"].T
        inner = functional.silu(h @ p["mlp.gate.weight"].T) * up if activation == "swiglu" else functional.gelu(up)
        x = x + inner @ p["mlp.down.weight"].T
    return rms(x, w["norm.weight"]) @ w["head.weight"].T


def shaken(network):
    """Norms and biases begin at 1 and 0, where a forgotten one would not be seen."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network.double().eval()


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 4), (4, 2), (4, 1)])
@pytest.mark.parametrize("activation", ["swiglu", "gelu"])
@torch.no_grad()
def test_decoder(heads, kv_heads, activation):
    network = shaken(DecoderLM(11, 16, 2, heads, kv_heads=kv_heads, activation=activation))
    tokens = torch.tensor([3, 1, 4, 1, 5, 9])
    expected = plain_decoder(dict(network.named_parameters()), tokens, 2, heads, kv_heads, activation)
    # the angles are computed in float32
    torch.testing.assert_close(network(tokens[None])[0], expected, rtol=1e-5, atol=1e-5)


def plain_norm(x, p=None):
    y = (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)
    return y if p is None else y * p[0] + p[1]


def plain_translation(w, source, target, depth, heads):
    dim = w["head.weight"].shape[1]
    c = dim // heads

    def read(table, ids):
        channels = 10_000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
        angles = torch.arange(len(ids), dtype=torch.float64)[:, None] * channels
        return w[table][ids] * 2 * math.sqrt(dim) + torch.cat((angles.sin(), angles.cos()), -1)

    def linear(name, z):
        return z @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def attend(name, z, memory, seen):
        q, k, v = linear(f"{name}.q", z), linear(f"{name}.k", memory), linear(f"{name}.v", memory)
        cut = [slice(head * c, head * c + c) for head in range(heads)]
        return linear(f"{name}.o", torch.cat([look(q[:, s], k[:, s], v[:, s], seen) for s in cut], -1))

    def norm(name, z):
        return plain_norm(z, (w[f"{name}.weight"], w[f"{name}.bias"]))

    def real(_, s):
        return bool(source[s] != 0)

    x = read("encoder.embed.weight", source)
    for i in range(depth):
        at = f"encoder.layers.{i}"
        h = norm(f"{at}.norm1", x)
        x = x + attend(f"{at}.self_attn", h, h, real)
        x = x + linear(f"{at}.fc2", functional.gelu(linear(f"{at}.fc1", norm(f"{at}.norm2", x))))
    memory, y = plain_norm(x), read("decoder.embed.weight", target)
    for i in range(depth):
        at = f"decoder.layers.{i}"
        h = norm(f"{at}.norm1", y)
        y = y + attend(f"{at}.self_attn", h, h, lambda t, s: s <= t)
        y = y + attend(f"{at}.cross_attn", norm(f"{at}.norm2", y), memory, real)
        y = y + linear(f"{at}.fc2", functional.gelu(linear(f"{at}.fc1", norm(f"{at}.norm3", y))))
    return plain_norm(y) @ w["head.weight"].T


@torch.no_grad()
def test_encoder_decoder():
    network = shaken(EncoderDecoder(11, 16, 2, 4))
    source, target = torch.tensor([3, 1, 4, 0, 0]), torch.tensor([2, 7, 1, 8])
    expected = plain_translation(dict(network.named_parameters()), source, target, 2, 4)
    torch.testing.assert_close(network(source[None], target[None])[0], expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_lstm():
    network = shaken(RecurrentLM(11, 8, 2))
    w, tokens = dict(network.named_parameters()), torch.tensor([3, 1, 4, 1, 5])
    x = w["embed.weight"][tokens] * 2 * math.sqrt(8)
    for layer in range(2):
        h = c = torch.zeros(8, dtype=torch.float64)
        rows = []
        for row in x:
            gates = sum(
                w[f"rnn.weight_{n}_l{layer}"] @ z + w[f"rnn.bias_{n}_l{layer}"] for n, z in (("ih", row), ("hh", h))
            )
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            rows.append(h)
        x = torch.stack(rows)
    torch.testing.assert_close(network(tokens[None])[0], x @ w["head.weight"].T + w["head.bias"])


def test_first_values_have_the_spread_that_is_written():
    network = DecoderLM(2000, 128, 8, 4, hidden=256)
    spreads = {
        "embed.weight": 0.5 / math.sqrt(128), "head.weight": 0.5 / math.sqrt(128),
        "layers.3.attn.q.weight": 1 / math.sqrt(128), "layers.3.attn.o.weight": 1 / math.sqrt(128 * 16),
        "layers.3.mlp.up.weight": 1 / math.sqrt(128), "layers.3.mlp.down.weight": 1 / math.sqrt(256 * 16),
    }  # fmt: skip
    for name, spread in spreads.items():
        assert network.get_parameter(name).std().item() == pytest.approx(spread, rel=0.03), name
    assert bool((network.norm.weight == 1).all())


def test_a_tied_decoder_compiles_to_one_graph():
    graphs = []

    def count(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    network = DecoderLM(20, 16, 4, 2, kv_heads=1)
    tie(network, {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, l % 2]"]})
    tokens = torch.arange(12).reshape(2, 6)
    torch._dynamo.reset()
    compiled = torch.compile(network, backend=count, fullgraph=True)
    torch.testing.assert_close(compiled(tokens), network(tokens))
    assert len(graphs) == 1
    compiled(tokens).square().sum().backward()
    assert network.head.weight.grad is network.embed.weight.grad
