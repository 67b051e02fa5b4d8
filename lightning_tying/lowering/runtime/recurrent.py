"""LSTM, GRU and RNN with computed weights: their list of flat weights holds a computed one only while they run."""

from __future__ import annotations

from typing import Any

from torch import nn

from lightning_tying.lowering.resolve import own_modules, own_parameters


class RecurrentMixin:
    """What replaces methods of `nn.RNNBase`; they are put into the module's own class."""

    def _update_flat_weights(self: Any) -> None:
        """Read all weights anew: torch's own test for changes would read computed ones twice more."""
        self._flat_weights = [getattr(self, name, None) for name in self._flat_weights_names]

    def _init_flat_weights(self: Any) -> None:
        """After a conversion or a load: computed weights are left out, and cuDNN packs the weights when it is called.

        Flattening would write into computed tensors, and would move shared parameters from one layer's block of
        memory into another's.
        """
        held = own_parameters(self)
        self._flat_weights = [held.get(name) for name in self._flat_weights_names]
        self._flat_weight_refs = [None] * len(self._flat_weights)

    def __getstate__(self: Any) -> dict[str, Any]:
        self._init_flat_weights()
        state = self.__dict__.copy()
        del state["_flat_weight_refs"]
        return state


METHODS = {name: vars(RecurrentMixin)[name] for name in ("_update_flat_weights", "_init_flat_weights", "__getstate__")}


def drop_values(module: Any) -> None:
    """Forget the computed weights of a recurrent layer, and with them the graphs that made them."""
    computed = own_modules(module)["parametrizations"]
    if computed is not None:
        names = own_modules(computed)
        module._flat_weights = [
            None if name in names else weight
            for name, weight in zip(module._flat_weights_names, module._flat_weights, strict=True)
        ]


def rebuild_flat_weights(module: nn.Module) -> None:
    """Let a recurrent layer find its weights again after its class or its parameters have changed."""
    if isinstance(module, nn.RNNBase):
        module._init_flat_weights()  # pyright: ignore[reportPrivateUsage]  # torch calls it after every conversion
