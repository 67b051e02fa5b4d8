"""The name of one of torchjd's aggregators in; the weights that it gives to uses, by their inner products, out."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false, reportUnknownParameterType=false
# torchjd is an optional package.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from lightning_tying.errors import ConfigError
from lightning_tying.gradients.combining.weights import OWN, Weigh
from lightning_tying.spec.nearest import suggest

_INSTALL = "Install it with pip install 'lightning-tying[jd]'."


class SeededWeights:
    """An aggregator's weights, on the CPU in float64, the same for the same products.

    Several aggregators draw an order of the uses. A run that goes on from a checkpoint must draw what it would have
    drawn, and the random numbers of the training are not to be touched: the products themselves are the seed.

    Args:
        weighting: a module of torchjd: inner products in, weights out.
    """

    def __init__(self, weighting: Any) -> None:
        self._weighting = weighting

    def __call__(self, gram: Tensor) -> Tensor:
        """Weights of the uses.

        Args:
            gram: inner products, [uses, uses].
        """
        products = gram.detach().to("cpu", torch.float64)
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(crc32(products.numpy().tobytes()))
            weights = self._weighting(products)
        return weights.detach().to(torch.float64)


def load_weights(name: str, options: Mapping[str, Any]) -> Weigh:
    """Find an aggregator of torchjd that needs the inner products alone.

    Args:
        name: of its class, in any case, with or without underscores: `pcgrad`, `aligned_mtl`.
        options: what its constructor takes, as `c` for `cagrad`.

    Raises:
        ConfigError: torchjd or a package that the aggregator needs is missing, the name is not known, or an option is
            wrong.
    """
    known = find_aggregators(name)
    if _plain(name) not in known:
        own = ", ".join(OWN)
        near = suggest(_plain(name), [*OWN, *known])
        raise ConfigError(f"combine: `{name}` is not known.{near} Known: {own}, of torchjd: {', '.join(known)}.")
    try:
        return SeededWeights(known[_plain(name)](**options).gramian_weighting)
    except ImportError as error:
        raise ConfigError(f"combine: `{name}` needs more than torchjd itself: {error}.") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"combine: `{name}` cannot be made: {error}. Options stand beside the name: "
            f"combine: {{name: {name}, …: …}}."
        ) from error


def find_aggregators(name: str) -> dict[str, Any]:
    """Torchjd's aggregators that weigh by inner products, by their plain names.

    Args:
        name: the one that was asked for, for the message.

    Raises:
        ConfigError: torchjd is not installed.
    """
    try:
        from torchjd import aggregation  # an optional package
    except ImportError as error:
        raise ConfigError(
            f"combine: `{name}` is none of {', '.join(OWN)}; torchjd, which has others, is not installed. {_INSTALL}"
        ) from error
    base = aggregation.GramianWeightedAggregator
    found = {each: getattr(aggregation, each) for each in aggregation.__all__}
    return {
        _plain(each): kind
        for each, kind in found.items()
        if isinstance(kind, type) and issubclass(kind, base) and kind is not base
    }


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
