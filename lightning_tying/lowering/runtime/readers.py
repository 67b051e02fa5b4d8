"""A module in, the sites that its forward reads out: its own, and those of modules inside it whose weights it takes.

`nn.MultiheadAttention` reads the weight of its `out_proj`; the fast path of `nn.TransformerEncoderLayer` reads all
weights of the layer, and `nn.TransformerEncoder` those of its first layer, to see whether it may take the fast path.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.conv import _ConvNd  # pyright: ignore[reportPrivateUsage]  # the base of all convolutions

from lightning_tying.lowering.resolve import own_modules
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization

_LAYER_PARTS = ("self_attn", "linear1", "linear2", "norm1", "norm2")


def find_sites(reader: nn.Module) -> list[SiteParametrization]:
    """The sites that the forward of `reader` reads itself."""
    if not reads_others(type(reader)):
        return own_sites(reader)
    return [site for part in _parts(reader) for site in own_sites(part)]


def own_sites(module: nn.Module) -> list[SiteParametrization]:
    """The computed tensors of this module itself."""
    held = own_modules(module).get("parametrizations")
    if held is None:
        return []
    return [site for site in own_modules(held).values() if isinstance(site, SiteParametrization)]


def reads_others(kind: type) -> bool:
    """Whether the forward of such a module takes weights of modules inside it."""
    return issubclass(kind, (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder))


def casts_for_autocast(kind: type) -> bool:
    """Whether autocast casts what the forward of such a module reads, so that the value may be cast beforehand."""
    return issubclass(kind, (nn.Linear, _ConvNd, nn.RNNBase))


def reads_in_fast_path(kind: type) -> bool:
    """Whether such a module reads weights only for the fast path of encoders, in eval.

    Otherwise it calls the modules that have them; these save the weights for the backward pass in either case.
    """
    return issubclass(kind, (nn.TransformerEncoderLayer, nn.TransformerEncoder))


def _parts(reader: nn.Module) -> Iterator[nn.Module]:
    yield reader
    if not reads_others(type(reader)):
        return
    children = own_modules(reader)
    if isinstance(reader, nn.MultiheadAttention):
        names: tuple[str, ...] = ("out_proj",)
    elif isinstance(reader, nn.TransformerEncoderLayer):
        names = _LAYER_PARTS
    else:
        layers = children.get("layers")
        first = None if layers is None else own_modules(layers).get("0")
        if first is not None:
            yield from _parts(first)
        return
    for name in names:
        child = children.get(name)
        if child is not None:
            yield from _parts(child)
