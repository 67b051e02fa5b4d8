"""Per-use gradients of shared parameters in; a combination other than their sum written to `.grad` out."""

# pyright: reportUnknownMemberType=false
# torch is typed in part only.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, distributed

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ConfigError
from lightning_tying.gradients.combining.torchjd_aggregators import load_weights
from lightning_tying.gradients.combining.weights import NORM_BALANCED, SUM, UNIFORM, Weigh, balance_norms
from lightning_tying.gradients.sinks.exact import ExactSink
from lightning_tying.gradients.sinks.streaming import StreamingSink
from lightning_tying.gradients.statistics import UseStatistics


class UniformWeights:
    """All uses weigh the same: no gradient is kept.

    Args:
        weight: of each use, by the number of uses.
    """

    needs_gradients = False

    def __init__(self, weight: Callable[[int], float]) -> None:
        self.weight = weight

    def make_sink(self) -> StreamingSink:
        """A sink for the backward passes of one step."""
        return StreamingSink()

    def write(self, sink: StreamingSink, parameters: Mapping[ParameterName, Tensor], unscale: float = 1.0) -> None:
        """Scale `.grad`. As for `WeighedGradients.write`."""
        del unscale
        for group, numbers in sink.finish().items():
            gradient = parameters[group].grad
            if len(numbers.keys) > 1 and gradient is not None:
                gradient.mul_(self.weight(len(numbers.keys)))


class WeighedGradients:
    """The gradients of all uses are kept, one copy of the parameter each, and weighed by their inner products.

    Args:
        make_weigh: makes what gives weights from inner products, for each group its own.
    """

    needs_gradients = True

    def __init__(self, make_weigh: Callable[[], Weigh]) -> None:
        self.make_weigh = make_weigh
        self._weigh: dict[ParameterName, Weigh] = {}

    def make_sink(self) -> ExactSink:
        """A sink for the backward passes of one step."""
        return ExactSink()

    def write(self, sink: ExactSink, parameters: Mapping[ParameterName, Tensor], unscale: float = 1.0) -> None:
        """Change `.grad`, which is the sum, into the weighted sum; a collective where there are several processes.

        What belongs to no use stays in it with the weight 1. Where a gradient is not finite nothing is changed, so
        that whoever looks for it finds it.

        Args:
            sink: what `make_sink` gave, after the backward passes.
            parameters: the shared parameter of each group.
            unscale: what the gradients in the sink are multiplied by to be in the units of `.grad`.
        """
        for group, numbers in sink.finish(1 / unscale).items():
            gradient, gram = parameters[group].grad, numbers.gram
            if gradient is None or gram is None or len(numbers.keys) < 2 or not is_usable(numbers, gram):
                continue
            if group not in self._weigh:
                self._weigh[group] = self.make_weigh()
            weights = take_first(self._weigh[group](gram), gradient.device)
            for each, weight in zip(sink.gradients[group].values(), weights, strict=True):
                if weight != 1:
                    gradient.add_(each.to(gradient.dtype), alpha=(weight - 1) * unscale)


def make_combination(combine: str | Mapping[str, Any]) -> UniformWeights | WeighedGradients | None:
    """What combines the gradients of uses.

    Args:
        combine: `sum`, `mean` (each use times 1 / K), `sqrt` (1 / √K), `norm_balanced` (all uses one norm, the mean of
            their norms), or one of torchjd's aggregators, with its options as a mapping: `{name: cagrad, c: 0.5}`.

    Returns:
        What writes to `.grad`; None for the sum, which is there without.

    Raises:
        ConfigError: the name or an option is not known, or a package is missing.
    """
    options = {"name": combine} if isinstance(combine, str) else dict(combine)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            f"combine: {combine} has no name. Write combine: pcgrad, or combine: {{name: cagrad, c: 0.5}}."
        )
    if name not in (SUM, NORM_BALANCED, *UNIFORM):
        load_weights(name, options)  # refused now, not at the first step
        return WeighedGradients(TorchjdMaker(name, options))
    if options:
        raise ConfigError(f"combine: `{name}` takes no options; remove {', '.join(options)}.")
    if name in UNIFORM:
        return UniformWeights(UNIFORM[name])
    return WeighedGradients(_make_balance) if name == NORM_BALANCED else None


class TorchjdMaker:
    """Makes weights of one of torchjd's aggregators, each time anew: some remember what they were given.

    Args:
        name: of the aggregator.
        options: of its constructor.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._name, self._options = name, dict(options)

    def __call__(self) -> Weigh:
        """The weights."""
        return load_weights(self._name, self._options)


def _make_balance() -> Weigh:
    return balance_norms


def is_usable(numbers: UseStatistics, gram: Tensor) -> bool:
    """Whether all that was caught of a group is finite."""
    return numbers.finite and bool(gram.isfinite().all())


def take_first(weights: Tensor, device: torch.device) -> list[float]:
    """The first process's weights: the others' could differ by rounding. A collective."""
    if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
        sent = weights.to(device)
        distributed.broadcast(sent, src=0)
        weights = sent
    return cast("list[float]", weights.tolist())
