"""A network and example inputs go in, a file of `torch.export` that holds each tensor once comes out."""

# pyright: reportUnknownMemberType=false
# torch.export is typed in part only.

from __future__ import annotations

import io
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from lightning_tying.checkpoints.atomic_write import write_atomically
from lightning_tying.checkpoints.write import check_target
from lightning_tying.errors import ConfigError


def export_program(network: nn.Module, inputs: Sequence[Tensor], target: Path, *, force: bool = False) -> int:
    """Write a network for `torch.export.load`.

    Args:
        network: tied or not; is exported as in eval.
        inputs: what its forward takes; sizes that it does not fix stay open.
        target: the file, `.pt2` by custom.
        force: whether to replace it.

    Returns:
        The bytes of the network's tensors, each counted once.

    Raises:
        ConfigError: torch cannot export the network, or the target cannot be written.
    """
    check_target(target, force=force)
    program = trace_network(network, inputs)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    with write_atomically(target, buffer.tell()) as file:
        file.write(buffer.getbuffer())
    return unique_bytes(network)


def trace_network(network: nn.Module, inputs: Sequence[Tensor]) -> ExportedProgram:
    """Trace a network with open sizes, and with those of the inputs where it needs fixed ones.

    Raises:
        ConfigError: torch cannot trace it.
    """
    network.eval()
    all_open = tuple(dict.fromkeys(range(tensor.ndim), Dim.AUTO) for tensor in inputs)
    batch_open = tuple({0: Dim.AUTO} for _ in inputs)
    failure: Exception | None = None
    for sizes in (all_open, batch_open, None):
        try:
            with torch.no_grad():  # a copy, since a trace that fails leaves its traces
                return torch.export.export(deepcopy(network), tuple(inputs), dynamic_shapes=sizes)
        except Exception as error:  # the tracer raises what the network raises, and a dozen types of its own
            failure = error
    raise ConfigError(f"torch cannot export this {type(network).__name__}: {first_line(failure)}")


def unique_bytes(network: nn.Module) -> int:
    """Bytes of a network's parameters and buffers, each counted once."""
    found = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return sum(tensor.numel() * tensor.element_size() for tensor in found.values())


def first_line(error: Exception | None) -> str:
    """The first line of what an error says, for a message of ours."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
