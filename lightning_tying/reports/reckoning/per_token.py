"""The sites of a model in; what one token costs out: operations of a forward pass, and room in a decoding cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import TensorMeta

_KEYS_AND_VALUES = frozenset({"k", "v", "k_proj", "v_proj", "key", "value"})
_OTHER_TEXT = frozenset({"encoder", "cross_attn", "encoder_attn", "EncDecAttention", "crossattention"})


@dataclass(frozen=True)
class PerToken:
    """What one token costs, the same with and without sharing unless values are derived.

    Args:
        flops_gross: operations of a forward pass, every site a parameter of its own; None where it is not known.
        flops_net: with sharing: what computes derived values is added where it was counted.
        counted: whether operations were counted in a forward pass, instead of two for each cell of each matrix.
        unit: what they are for: `token` or `sample`.
        cache_bytes: keys and values that a decoder keeps; None for a network without a cache.
    """

    flops_gross: int | None = None
    flops_net: int | None = None
    counted: bool = False
    unit: str = "token"
    cache_bytes: int | None = None


def reckon_per_token(graphs: Iterable[SharingGraph], *, decodes: bool, cache_itemsize: int | None = None) -> PerToken:
    """What a token costs by the shapes of the sites: each is read and computed with, shared or not.

    Args:
        graphs: of all parts of the model; of one that does not know its modules no operations are reckoned, and of
            one with convolutions neither, since what they cost depends on the size of an image.
        decodes: whether the network keeps keys and values of earlier tokens.
        cache_itemsize: bytes of one cell of the cache, None for those of the projections.
    """
    known = tuple(graphs)
    flops = _reckon_flops(known)
    cached = [meta for graph in known for fqn, meta in list_reads(graph) if _is_cached(fqn, meta)] if decodes else []
    size = sum(meta.shape[0] * (cache_itemsize or meta.itemsize) for meta in cached)
    return PerToken(flops, flops, cache_bytes=size or None)


def list_reads(graph: SharingGraph) -> Iterator[tuple[str, TensorMeta]]:
    """Every site's FQN, with the metadata of what it reads."""
    yield from ((use.site, group.meta) for group, use in graph.uses() if not use.slot)
    yield from ((derived.site, derived.meta) for derived in graph.derived)
    yield from graph.private


def _reckon_flops(graphs: tuple[SharingGraph, ...]) -> int | None:
    sites = [site for graph in graphs for site in graph.sites]
    unknown = any(not graph.sites and (graph.groups or graph.private) for graph in graphs)
    if unknown or not sites or any("conv" in site.module.lower() and len(site.meta.shape) > 2 for site in sites):
        return None
    return sum(2 * site.meta.numel for site in sites if _multiplies(site.module, site.meta)) or None


def _multiplies(module: str, meta: TensorMeta) -> bool:
    return len(meta.shape) == 2 and "embedding" not in module.lower()


def _is_cached(fqn: str, meta: TensorMeta) -> bool:
    """Whether it projects to the keys or values of the text that is being written, not of one that is read."""
    *path, module, name = ["", *fqn.split(".")] if "." in fqn else ["", "", fqn]
    return name == "weight" and len(meta.shape) == 2 and module in _KEYS_AND_VALUES and _OTHER_TEXT.isdisjoint(path)
