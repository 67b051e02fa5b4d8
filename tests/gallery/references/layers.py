"""Layers that read one block, or several in some order: each scheme written from its paper."""

from __future__ import annotations

from collections.abc import Callable

from tests.gallery.case import Case, Shapes, Shared, Values, select, split_layer
from tests.trees import embedding_and_head, encoder_decoder, linear, llama, norm, stack

VOCABULARY = ("embed.weight", "head.weight")
DECODER_VOCABULARY = ("decoder.embed.weight", "head.weight")
WHOLE_VOCABULARY = ("encoder.embed.weight", *DECODER_VOCABULARY)


def _blocks(shapes: Shapes, block: Callable[[int], int], prefix: str = "layers.") -> Callable[[Shared], Values]:
    """Layer l reads `block[rest of its name, block(l)]`."""

    def values(p: Shared) -> Values:
        places = {site: split_layer(site, prefix) for site in select(shapes, prefix)}
        return {site: p[f"block[{rest}, {block(layer)}]"] for site, (layer, rest) in places.items()}

    return values


def _one_block(shapes: Shapes) -> Callable[[Shared], Values]:
    return lambda p: {site: p[f"block[{split_layer(site)[1]}]"] for site in select(shapes, "layers.")}


def universal_transformer(seed: int) -> Case:
    shapes = stack(3 + seed, 3, 5)
    return Case(shapes | {f"step.{step}.weight": [3] for step in range(3 + seed)}, _one_block(shapes))


def recurrent_stacking(seed: int) -> Case:
    shapes = encoder_decoder(11, 3, 5, 2 + seed, 3)

    def values(p: Shared) -> Values:
        sites = select(shapes, ".layers.")
        found = {site: p[f"block[{site.split('.')[0]}, {split_layer(site)[1]}]"] for site in sites}
        return found | dict.fromkeys(DECODER_VOCABULARY, p["vocabulary"])

    return Case(shapes, values)


def albert(seed: int) -> Case:
    d, ff = 3, 5
    shapes = {"embed.word.weight": [11, 2], **dict(linear("embed.project", d, 2))}
    for layer in range(2 + seed):
        for name in ("query", "key", "value", "output"):
            shapes |= dict(linear(f"layers.{layer}.attention.{name}", d, d))
        shapes |= dict(linear(f"layers.{layer}.ffn.up", ff, d)) | dict(linear(f"layers.{layer}.ffn.down", d, ff))
        shapes |= dict(norm(f"layers.{layer}.attention.norm", d)) | dict(norm(f"layers.{layer}.ffn.norm", d))
    return Case(shapes, _one_block(shapes))


def albert_groups(seed: int) -> Case:
    depth, groups = 5 + seed, 2 + seed
    shapes = stack(depth, 3, 5)
    return Case(shapes, _blocks(shapes, lambda layer: int(layer / depth * groups + 1e-9)), let={"groups": groups})


def _takase(seed: int, block: Callable[[int, int, int], int]) -> Case:
    """N layers on either side, M blocks."""
    depths, unique = {"encoder": 5 + seed, "decoder": 7}, 3
    shapes = encoder_decoder(11, 3, 5, depths["encoder"], depths["decoder"])

    def values(p: Shared) -> Values:
        found: Values = dict.fromkeys(WHOLE_VOCABULARY, p["vocabulary"])
        for side, depth in depths.items():
            for site in select(shapes, f"{side}.layers."):
                layer, rest = split_layer(site)
                found[site] = p[f"block[{side}, {rest}, {block(layer, depth, unique)}]"]
        return found

    return Case(shapes, values, let={"M": unique})


def cycle(seed: int) -> Case:
    return _takase(seed, lambda layer, _, unique: layer % unique)


def sequence(seed: int) -> Case:
    return _takase(seed, lambda layer, depth, unique: (layer * unique) // depth)


def cycle_rev(seed: int) -> Case:
    def block(layer: int, depth: int, unique: int) -> int:
        order = [*(place % unique for place in range(depth - unique)), *reversed(range(unique))]
        return order[layer]

    return _takase(seed, block)


def cycle_lm(seed: int) -> Case:
    shapes = embedding_and_head(11, 3) | stack(5, 3, 5)
    unique = 2 + seed
    blocks = _blocks(shapes, lambda layer: layer % unique)
    return Case(shapes, lambda p: blocks(p) | dict.fromkeys(VOCABULARY, p["vocabulary"]), let={"M": unique})


def sandwich(seed: int) -> Case:
    depths = {"encoder": 3 + seed, "decoder": 4}
    shapes = encoder_decoder(11, 3, 5, depths["encoder"], depths["decoder"])

    def values(p: Shared) -> Values:
        found: Values = {}
        for side, depth in depths.items():
            for site in select(shapes, f"{side}.layers."):
                layer, rest = split_layer(site)
                module, _, part = rest.rpartition(".")
                place = 0 if layer == 0 else 2 if layer == depth - 1 else 1
                if "norm" not in module:
                    found[site] = p[f"block[{side}, {module}, {part}, {place}]"]
        return found

    return Case(shapes, values)


def mobilellm(seed: int) -> Case:
    shapes = llama(4 + seed, 6, 7, 2, 11)
    blocks = _blocks(shapes, lambda layer: layer // 2)
    sites = ("model.embed_tokens.weight", "lm_head.weight")
    return Case(shapes, lambda p: blocks(p) | dict.fromkeys(sites, p["vocabulary"]))


def mixture_of_recursions(seed: int) -> Case:
    depth, unique = 6 + seed, 2
    order = [0, *(1 + place % unique for place in range(depth - 2)), unique + 1]
    shapes = llama(depth, 6, 7, 2)
    return Case(shapes, _blocks(shapes, order.__getitem__), let={"M": unique})


def zamba(seed: int) -> Case:
    shapes = {"model.embed_tokens.weight": [11, 3], "lm_head.weight": [11, 3]}
    layers = (2, 5, 7 + seed)
    for layer in layers:
        at = f"model.layers.{layer}.shared_transf"
        shapes |= {f"{at}.self_attn.{name}_proj.weight": [3, 6] for name in "qkvo"}
        shapes |= {f"{at}.input_layernorm.weight": [6]}

    def values(p: Shared) -> Values:
        found = {site: p[f"block[{site.split('.shared_transf.')[1]}]"] for site in select(shapes, "shared_transf")}
        return found | dict.fromkeys(("model.embed_tokens.weight", "lm_head.weight"), p["vocabulary"])

    return Case(shapes, values)


def one_wide_ffn(seed: int) -> Case:
    shapes = encoder_decoder(11, 3, 5 + seed, 2, 3)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, ".fc"):
            *_, module, part = site.split(".")
            found[site] = p[f"ffn[{module}, {part}]"]
        return found

    return Case(shapes, values)


def tied_transformer(seed: int) -> Case:
    shapes = encoder_decoder(11, 3, 5, 2 + seed, 2 + seed)
    return Case(shapes, _blocks({site: s for site, s in shapes.items() if ".layers." in site}, lambda layer: layer))


def edgeformer(seed: int) -> Case:
    shapes = encoder_decoder(11, 3, 5, 4 + seed, 2)

    def values(p: Shared) -> Values:
        found: Values = {}
        for site in select(shapes, ".fc"):
            layer, rest = split_layer(site)
            module, part = rest.split(".")
            found[site] = p[f"ffn[{module}, {part}, {layer % 2}]"]
        return found

    return Case(shapes, values)


def layer_list(seed: int) -> Case:
    order = [0, 1, 1, 2, 0][: 4 + seed % 2]
    shapes = stack(len(order), 3, 5)
    return Case(shapes, _blocks(shapes, order.__getitem__), let={"order": order})


def private_biases(seed: int) -> Case:
    shapes = {f"heads.{head}.weight": [3 + seed, 5] for head in range(4)}
    biases = {f"heads.{head}.bias": [3 + seed] for head in range(4)}
    return Case(shapes | biases, lambda p: dict.fromkeys(shapes, p["W"]))


def perceiver(seed: int) -> Case:
    shapes: dict[str, list[int]] = {}
    for block in range(3 + seed):
        for name in ("cross.q", "latent.fc"):
            shapes |= dict(linear(f"blocks.{block}.{name}", 3, 3))

    return Case(shapes, _blocks(shapes, lambda block: 0 if block == 0 else 1, "blocks."))
