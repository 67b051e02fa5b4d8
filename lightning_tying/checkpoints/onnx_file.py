"""A network and example inputs go in, an ONNX file that holds each tensor once comes out."""

# pyright: reportUnknownMemberType=false
# onnx ships no types.

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_tying.checkpoints.exported_program import first_line, trace_network, unique_bytes
from lightning_tying.checkpoints.write import check_target, write_file
from lightning_tying.errors import ConfigError

SLACK = 0.01  # of the network's bytes: what constants of the computation may add


@dataclass(frozen=True)
class OnnxReport:
    """What an ONNX file holds.

    Args:
        initializer_bytes: of all its constants.
        unique_bytes: of the network's tensors, each counted once.
        optimized: whether it was simplified; not, where that would have written shared tensors out.
    """

    initializer_bytes: int
    unique_bytes: int
    optimized: bool

    @property
    def holds_once(self) -> bool:
        """Whether the file is no larger than the network's own tensors, but for small constants."""
        return self.initializer_bytes <= self.unique_bytes * (1 + SLACK) + 4096


def export_onnx(network: nn.Module, inputs: Sequence[Tensor], target: Path, *, force: bool = False) -> OnnxReport:
    """Write a network as ONNX.

    Simplifying folds transposed and computed values into constants, which writes shared tensors out. Where the file
    becomes larger than the network by that, it is left out.

    Args:
        network: tied or not; is exported as in eval.
        inputs: what its forward takes; sizes that it does not fix stay open.
        target: the file.
        force: whether to replace it.

    Raises:
        ConfigError: onnx is missing, the network cannot be exported, or the target cannot be written.
    """
    check_onnx()
    check_target(target, force=force)
    program = trace_network(network, inputs)
    made, size = _convert(program, optimize=True)
    report = OnnxReport(size, unique_bytes(network), optimized=True)
    if not report.holds_once:
        plain, plain_size = _convert(program, optimize=False)
        if plain_size < size:
            made, report = plain, OnnxReport(plain_size, report.unique_bytes, optimized=False)
    write_file(target, lambda path: made.save(str(path), external_data=False), force=force)
    return report


def check_onnx() -> None:
    """Refuse to begin without the packages that torch's exporter needs.

    Raises:
        ConfigError: naming them.
    """
    try:
        import_module("onnx")
        import_module("onnxscript")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed. Install it with pip install 'lightning-tying[onnx]'."
        ) from error


def _convert(program: torch.export.ExportedProgram, *, optimize: bool) -> tuple[Any, int]:
    try:
        with contextlib.redirect_stdout(io.StringIO()), _quiet():  # torch tells each of its stages
            made: Any = torch.onnx.export(program, dynamo=True, optimize=optimize, verbose=False)
    except Exception as error:  # the exporter raises a dozen types
        raise ConfigError(f"torch cannot write this network as ONNX: {first_line(error)}") from error
    constants = made.model.graph.initializers.values()
    return made, sum(int(each.const_value.nbytes) for each in constants if each.const_value is not None)


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Leave out what torch's exporter says of itself."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)
