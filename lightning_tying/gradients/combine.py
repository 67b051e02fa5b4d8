"""Per-use gradients of shared parameters in; a combination other than their sum written to `.grad` out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ConfigError
from lightning_tying.gradients.combine_torchjd import load_weights
from lightning_tying.gradients.combine_weights import NORM_BALANCED, SUM, UNIFORM, Weigh, balance_norms
from lightning_tying.gradients.keys import UseKey

_CHUNK = 1 << 18  # cells of a gradient that are multiplied in float64 at once


class UseCounter:
    """A sink that keeps nothing of the gradients and counts the uses; enough where all uses weigh the same.

    Args:
        weight: of each use, by the number of uses.
    """

    def __init__(self, weight: Callable[[int], float]) -> None:
        self._weight = weight
        self._keys: dict[ParameterName, set[UseKey]] = {}

    def add(self, key: UseKey, _gradient: Tensor) -> None:
        """Take the gradient of a use; of several micro-batches it is one use."""
        self._keys.setdefault(key.group, set()).add(key)

    def write(self, group: ParameterName, parameter: nn.Parameter, scale: float = 1.0) -> None:
        """Scale `parameter.grad` and forget the group.

        Args:
            group: its name; all processes ask for the same groups in the same order.
            parameter: its shared parameter.
            scale: not needed, since no gradient is kept.
        """
        del scale
        uses = _agree_on(self._keys.pop(group, set()))
        if len(uses) > 1 and parameter.grad is not None:
            parameter.grad.mul_(self._weight(len(uses)))


class KeptGradients:
    """A sink that keeps the gradient of each use, one copy of the parameter for each, and weighs them by their products.

    Args:
        make_weigh: makes what gives weights from inner products, for each group its own.
    """

    def __init__(self, make_weigh: Callable[[], Weigh]) -> None:
        self._make_weigh = make_weigh
        self._weigh: dict[ParameterName, Weigh] = {}
        self._kept: dict[ParameterName, dict[UseKey, Tensor]] = {}

    def add(self, key: UseKey, gradient: Tensor) -> None:
        """Take the gradient of a use, [the parameter's shape]; those of several micro-batches are added up."""
        kept = self._kept.setdefault(key.group, {})
        if key in kept:
            kept[key] += gradient.detach()
        else:
            kept[key] = gradient.detach().clone()

    def write(self, group: ParameterName, parameter: nn.Parameter, scale: float = 1.0) -> None:
        """Change `parameter.grad`, which is the sum, into the weighted sum, and forget the group.

        What belongs to no use, a penalty for instance, stays in it with the weight 1. Where a gradient is not finite
        nothing is changed, so that whoever looks for it finds it.

        Args:
            group: its name; all processes ask for the same groups in the same order.
            parameter: its shared parameter.
            scale: what the kept gradients are multiplied by to be in the units of `parameter.grad`.
        """
        kept = self._kept.pop(group, {})
        keys = _agree_on(kept)
        if len(keys) < 2 or parameter.grad is None:
            return
        gradients = [_mean_over_processes(kept.get(key), parameter) for key in keys]
        gram = multiply_pairs(gradients) * scale**2
        if not bool(gram.isfinite().all()):
            return
        if group not in self._weigh:
            self._weigh[group] = self._make_weigh()
        weights = _take_first(self._weigh[group](gram), parameter.device)
        for gradient, weight in zip(gradients, cast("list[float]", weights.tolist()), strict=True):
            if weight != 1:
                parameter.grad.add_(gradient, alpha=(weight - 1) * scale)


def make_combination(combine: str | Mapping[str, Any]) -> UseCounter | KeptGradients | None:
    """What combines the gradients of uses.

    Args:
        combine: `sum`, `mean` (each use times 1 / K), `sqrt` (1 / √K), `norm_balanced` (all uses one norm, the mean of
            their norms), or one of torchjd's aggregators, with its options as a mapping: `{name: cagrad, c: 0.5}`.

    Returns:
        A sink that writes to `.grad`; None for the sum, which is there without.

    Raises:
        ConfigError: the name or an option is not known, or a package is missing.
    """
    given = {"name": combine} if isinstance(combine, str) else dict(combine)
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(
            f"combine: {combine} has no name. Write combine: pcgrad, or combine: {{name: cagrad, c: 0.5}}."
        )
    if name not in (SUM, NORM_BALANCED, *UNIFORM):
        load_weights(name, given)  # refused now, not at the first step
        return KeptGradients(lambda: load_weights(name, given))
    if given:
        raise ConfigError(f"combine: `{name}` takes no options; remove {', '.join(given)}.")
    if name in UNIFORM:
        return UseCounter(UNIFORM[name])
    return KeptGradients(lambda: balance_norms) if name == NORM_BALANCED else None


def multiply_pairs(gradients: Iterable[Tensor]) -> Tensor:
    """The inner products of all pairs, [gradients, gradients], float64 on the CPU; a block of cells at a time."""
    flat = [(each.to_dense() if each.is_sparse else each).flatten() for each in gradients]
    gram = torch.zeros(len(flat), len(flat), dtype=torch.float64, device=flat[0].device)
    for start in range(0, flat[0].numel(), _CHUNK):
        block = torch.stack([each[start : start + _CHUNK].to(torch.float64) for each in flat])
        gram += block @ block.T
    return gram.cpu()


def _agree_on(keys: Iterable[UseKey]) -> list[UseKey]:
    """The uses of all processes, in one order; a module may be left out on one of them."""
    mine = list(keys)
    if not _is_distributed():
        return mine
    gathered: list[list[UseKey]] = [[] for _ in range(distributed.get_world_size())]
    distributed.all_gather_object(gathered, mine)
    return list(dict.fromkeys(key for each in gathered for key in each))


def _mean_over_processes(gradient: Tensor | None, parameter: nn.Parameter) -> Tensor:
    found = torch.zeros_like(parameter) if gradient is None else gradient
    if _is_distributed():
        distributed.all_reduce(found)
        found /= distributed.get_world_size()
    return found.detach()


def _take_first(weights: Tensor, device: torch.device) -> Tensor:
    """The first process's weights: the others' could differ by rounding."""
    if not _is_distributed():
        return weights
    sent = weights.to(device)
    distributed.broadcast(sent, src=0)
    return sent.cpu()


def _is_distributed() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
