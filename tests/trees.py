"""Module trees from FQNs and shapes: the trees of the gallery, on the meta device unless asked otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn

Shapes = Mapping[str, Sequence[int]]


class Node(nn.Module):
    """A module that only holds parameters and other nodes."""


def tree(
    shapes: Shapes,
    *,
    ties: Sequence[Sequence[str]] = (),
    device: str = "meta",
    dtypes: Mapping[str, torch.dtype] | None = None,
) -> nn.Module:
    """A module with a parameter of the given shape at each FQN; the FQNs of one of `ties` are one parameter."""
    root = Node()
    for fqn, shape in shapes.items():
        dtype = (dtypes or {}).get(fqn, torch.float32)
        data = torch.zeros(tuple(shape), device=device, dtype=dtype)
        parent, name = make_parent(root, fqn)
        parent.register_parameter(name, nn.Parameter(data, requires_grad=dtype.is_floating_point))
    for owner, *others in ties:
        parameter = root.get_parameter(owner)
        for fqn in others:
            parent, name = make_parent(root, fqn)
            parent._parameters[name] = parameter
    return root


def make_parent(root: nn.Module, fqn: str) -> tuple[nn.Module, str]:
    *path, name = fqn.split(".")
    module = root
    for segment in path:
        if segment not in module._modules:
            module._modules[segment] = Node()
        child = module._modules[segment]
        assert child is not None
        module = child
    return module, name


def count(module: nn.Module) -> int:
    """How many numbers the module has, a shared parameter counted once."""
    return sum(parameter.numel() for parameter in module.parameters())


def linear(fqn: str, rows: int, columns: int, bias: bool = True) -> Iterator[tuple[str, list[int]]]:
    yield f"{fqn}.weight", [rows, columns]
    if bias:
        yield f"{fqn}.bias", [rows]


def norm(fqn: str, size: int, bias: bool = True) -> Iterator[tuple[str, list[int]]]:
    yield f"{fqn}.weight", [size]
    if bias:
        yield f"{fqn}.bias", [size]


def stack(depth: int, d: int, ff: int) -> dict[str, list[int]]:
    """`stack` of the gallery: no biases."""
    shapes: dict[str, list[int]] = {}
    for layer in range(depth):
        at = f"layers.{layer}"
        for name in "qkvo":
            shapes[f"{at}.attn.{name}.weight"] = [d, d]
        shapes[f"{at}.mlp.up.weight"] = [ff, d]
        shapes[f"{at}.mlp.down.weight"] = [d, ff]
        shapes[f"{at}.norm1.weight"] = [d]
        shapes[f"{at}.norm2.weight"] = [d]
    return shapes


def encoder_decoder(vocabulary: int, d: int, ff: int, depth: int, decoder_depth: int) -> dict[str, list[int]]:
    """`encoder–decoder` of the gallery: all with biases, cross-attention and a third norm in the decoder."""
    shapes: dict[str, list[int]] = {}
    for side, layers in (("encoder", depth), ("decoder", decoder_depth)):
        shapes[f"{side}.embed.weight"] = [vocabulary, d]
        for layer in range(layers):
            shapes |= _layer(f"{side}.layers.{layer}", d, ff, cross=side == "decoder")
    shapes["head.weight"] = [vocabulary, d]
    return shapes


def _layer(at: str, d: int, ff: int, cross: bool) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {}
    for attention in ("self_attn", "cross_attn") if cross else ("self_attn",):
        for name in "qkvo":
            shapes |= dict(linear(f"{at}.{attention}.{name}", d, d))
    shapes |= dict(linear(f"{at}.fc1", ff, d)) | dict(linear(f"{at}.fc2", d, ff))
    for number in (1, 2, 3) if cross else (1, 2):
        shapes |= dict(norm(f"{at}.norm{number}", d))
    return shapes


def llama(depth: int, d: int, ff: int, kv: int, vocabulary: int | None = None) -> dict[str, list[int]]:
    """`Llama` of the gallery; without a vocabulary, without embeddings and last norm."""
    shapes: dict[str, list[int]] = {}
    if vocabulary is not None:
        shapes["model.embed_tokens.weight"] = [vocabulary, d]
    for layer in range(depth):
        at = f"model.layers.{layer}"
        for name, rows in (("q", d), ("k", kv), ("v", kv), ("o", d)):
            shapes[f"{at}.self_attn.{name}_proj.weight"] = [rows, d]
        shapes[f"{at}.mlp.gate_proj.weight"] = [ff, d]
        shapes[f"{at}.mlp.up_proj.weight"] = [ff, d]
        shapes[f"{at}.mlp.down_proj.weight"] = [d, ff]
        shapes[f"{at}.input_layernorm.weight"] = [d]
        shapes[f"{at}.post_attention_layernorm.weight"] = [d]
    if vocabulary is not None:
        shapes["model.norm.weight"] = [d]
        shapes["lm_head.weight"] = [vocabulary, d]
    return shapes


def albert(d: int = 768, ff: int = 3072, depth: int = 12) -> dict[str, list[int]]:
    """B3 of the gallery: a BERT of which ALBERT shares the layers."""
    shapes = {
        "embed.word.weight": [30000, 128],
        "embed.position.weight": [512, 128],
        "embed.kind.weight": [2, 128],
        **dict(norm("embed.norm", 128)),
        **dict(linear("embed.project", d, 128)),
    }
    for layer in range(depth):
        at = f"layers.{layer}"
        for name in ("query", "key", "value", "output"):
            shapes |= dict(linear(f"{at}.attention.{name}", d, d))
        shapes |= dict(linear(f"{at}.ffn.up", ff, d)) | dict(linear(f"{at}.ffn.down", d, ff))
        shapes |= dict(norm(f"{at}.attention.norm", d)) | dict(norm(f"{at}.ffn.norm", d))
    return shapes | dict(linear("pooler", d, d))


def lstm(inputs: int, hidden: int, depth: int, bidirectional: bool = False) -> dict[str, list[int]]:
    """The parameters of `nn.LSTM`, under `rnn`."""
    shapes: dict[str, list[int]] = {}
    for layer in range(depth):
        width = inputs if layer == 0 else hidden * (2 if bidirectional else 1)
        for reverse in ("", "_reverse") if bidirectional else ("",):
            shapes[f"rnn.weight_ih_l{layer}{reverse}"] = [4 * hidden, width]
            shapes[f"rnn.weight_hh_l{layer}{reverse}"] = [4 * hidden, hidden]
            shapes[f"rnn.bias_ih_l{layer}{reverse}"] = [4 * hidden]
            shapes[f"rnn.bias_hh_l{layer}{reverse}"] = [4 * hidden]
    return shapes


def embedding_and_head(vocabulary: int, d: int) -> dict[str, list[int]]:
    return {"embed.weight": [vocabulary, d], "head.weight": [vocabulary, d]}


def table_model(device: str = "meta") -> nn.Module:
    """The model of the language's table of errors."""
    shapes: dict[str, list[int]] = {"embed.weight": [100, 64]}
    for layer in range(6):
        at = f"layers.{layer}"
        shapes[f"{at}.attn.q.weight"] = [64, 64]
        shapes[f"{at}.attn.k.weight"] = [64, 64]
        shapes[f"{at}.mlp.up.weight"] = [128, 64]
        shapes[f"{at}.mlp.down.weight"] = [64, 128]
        shapes[f"{at}.norm.weight"] = [64]
    shapes["head.weight"] = [100, 64]
    module = tree(shapes, device=device)
    module.add_module("bn", nn.BatchNorm1d(64, device=device))
    return module
