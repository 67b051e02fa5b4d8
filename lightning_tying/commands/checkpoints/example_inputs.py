"""Words like `int64[2,16]`, or a model, go in; example inputs for tracing its network come out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from lightning_tying.commands.options import take_value
from lightning_tying.errors import ConfigError
from lightning_tying.tasks import LanguageModeling, Translation

_INPUT = re.compile(r"^(?P<dtype>[a-z0-9]+)\[(?P<sizes>[0-9, ]*)\]$")
_TOKENS = "int64[2,16]"


def take_inputs(words: list[str]) -> tuple[list[str], list[Tensor]]:
    """Take every `--input TYPE[SIZES]` out of the words.

    Raises:
        ConfigError: one cannot be read.
    """
    inputs: list[Tensor] = []
    rest, text = take_value(words, "--input")
    while text is not None:
        inputs.append(read_input(text))
        rest, text = take_value(rest, "--input")
    return rest, inputs


def read_input(text: str) -> Tensor:
    """An example: ones of an integer type (a token id that every vocabulary has), normal numbers of another.

    Raises:
        ConfigError: it is not TYPE[SIZES].
    """
    match = _INPUT.match(text)
    dtype = getattr(torch, match["dtype"], None) if match else None
    if match is None or not isinstance(dtype, torch.dtype):
        raise ConfigError(f"--input {text}: write a type of torch and sizes, int64[2,16] or float32[1,1,8,8].")
    sizes = [int(size) for size in match["sizes"].split(",") if size.strip()]
    if dtype.is_floating_point:
        return torch.randn(sizes, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return torch.ones(sizes, dtype=dtype)


def find_inputs(model: LightningModule) -> list[Tensor]:
    """The model's own example, else what its task reads.

    Raises:
        ConfigError: neither is known.
    """
    example: object = cast(Any, model).example_input_array
    if isinstance(example, Tensor):
        return [example]
    if isinstance(example, list | tuple) and all(isinstance(each, Tensor) for each in cast("Sequence[Any]", example)):
        return list(cast("Sequence[Tensor]", example))
    if isinstance(model, LanguageModeling):
        return [read_input(_TOKENS)]
    if isinstance(model, Translation):
        return [read_input(_TOKENS), read_input(_TOKENS)]
    raise ConfigError(
        f"What the network of {type(model).__name__} takes is not known. Say it: --input float32[1,1,8,8], once for "
        "each argument of its forward."
    )
