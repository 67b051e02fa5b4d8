"""The metadata of a parameter in its plan, and the parameter as it is now, in; the metadata of now out."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from lightning_tying.graph.parts import TensorMeta


def read_meta(parameter: nn.Parameter) -> TensorMeta:
    """All of it from the parameter."""
    return TensorMeta(tuple(parameter.shape), name_dtype(parameter), str(parameter.device), parameter.requires_grad)


def refresh_meta(meta: TensorMeta, parameter: Tensor | None) -> TensorMeta:
    """Take the dtype and whether it trains from the parameter: `bf16-true` or freezing may have changed it since.

    The shape stays: a strategy may have divided the parameter.
    """
    if parameter is None:
        return meta
    dtype = name_dtype(parameter)
    if dtype == meta.dtype and parameter.requires_grad == meta.trainable:
        return meta
    return replace(meta, dtype=dtype, trainable=parameter.requires_grad)


def name_dtype(tensor: Tensor) -> str:
    """`float32`."""
    return str(tensor.dtype).removeprefix("torch.")
