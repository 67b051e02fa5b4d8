"""A calibration file in; the factor L of L Lᵀ = Σ XᵀX over the sites that read one parameter out."""

from __future__ import annotations

import json
import math
import struct
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from lightning_tying.errors import ApplyError, SharingWarning

_DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_HEADER = 100_000_000  # bytes; safetensors' own limit
_RIDGE = (0.0, 1e-10, 1e-8, 1e-6, 1e-4)  # of the mean of the diagonal; few samples leave directions without any input


_weights_follow: ContextVar[bool] = ContextVar("weights_follow", default=False)


@contextmanager
def weights_follow(follow: bool) -> Generator[None]:
    """Do without calibration files that are gone, where the values of a checkpoint take the place of what is solved."""
    token = _weights_follow.set(follow)
    try:
        yield
    finally:
        _weights_follow.reset(token)


def read_whitening(file: str, sites: Sequence[str], width: int, folder: Path | None = None) -> Tensor:
    """The Cholesky factor of the summed second moments of the inputs.

    Args:
        file: a `.safetensors` with XᵀX [width, width] for each site, under its FQN (or its end after a dot).
        sites: FQNs whose moments are added.
        width: how many inputs they have.
        folder: what the path is relative to; None for the working directory.

    Returns:
        L, float64, lower triangular, on the CPU; the identity inside `weights_follow` where the file is gone.

    Raises:
        ApplyError: there is no such file, it cannot be read, or it does not have what is asked for.
    """
    if _weights_follow.get() and not ((folder or Path()) / file).is_file():
        text = f"{file} is not there, so svd_joint did without it; the checkpoint's values take the place of its own."
        warnings.warn(text, SharingWarning, stacklevel=2)
        return torch.eye(width, dtype=torch.float64)
    opened = _open_file((folder or Path()) / file, file)
    total = torch.zeros(width, width, dtype=torch.float64)
    for site in sites:
        total += _read_moment(opened, site, width)
    return _factorize(total, file)


@dataclass(frozen=True)
class _File:
    """A safetensors file: its name as written, where its data begins and what it says of its tensors."""

    path: Path
    name: str
    start: int
    header: Mapping[str, object]


def _open_file(path: Path, name: str) -> _File:
    if not path.is_file():
        beside = sorted(each.name for each in path.parent.glob("*.safetensors")) if path.parent.is_dir() else []
        hint = f" Beside it: {', '.join(beside[:8])}." if beside else " A path is relative to the spec's file."
        raise ApplyError(f"{name} does not exist (svd_joint).{hint}")
    size = path.stat().st_size
    try:
        with path.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > min(size - 8, _HEADER):
                raise ValueError("its header is longer than the file")
            header = json.loads(opened.read(length).decode("utf-8"))
    except (OSError, ValueError, RecursionError, struct.error) as error:
        raise ApplyError(f"{name} is not a safetensors file: {error}.") from error
    if not isinstance(header, dict):
        raise ApplyError(f"{name} is not a safetensors file: its header is no mapping.")
    return _File(path, name, 8 + length, cast("Mapping[str, object]", header))


def _read_moment(file: _File, site: str, width: int) -> Tensor:
    try:
        dtype, shape, begin, end = _read_entry(file.header[_find_key(file, site)])
    except (KeyError, TypeError, ValueError) as error:
        raise ApplyError(f"{file.name}: the entry of {site} cannot be read ({error}).") from error
    if shape != [width, width]:
        raise ApplyError(f"{file.name}: XᵀX of {site} is {shape}, and the site has {width} inputs: [{width}, {width}].")
    if end - begin != width * width * dtype.itemsize or file.start + end > file.path.stat().st_size:
        raise ApplyError(f"{file.name} is cut off or damaged at {site}.")
    with file.path.open("rb") as opened:
        opened.seek(file.start + begin)
        content = bytearray(opened.read(end - begin))
    return torch.frombuffer(content, dtype=dtype).reshape(width, width).to(torch.float64)


def _read_entry(entry: object) -> tuple[torch.dtype, list[int], int, int]:
    if not isinstance(entry, dict):
        raise TypeError("it is no mapping")
    fields = cast("dict[str, object]", entry)
    kind, shape, offsets = str(fields["dtype"]), fields["shape"], fields["data_offsets"]
    if kind not in _DTYPES:
        raise ValueError(f"its dtype is {kind}; known: {', '.join(_DTYPES)}")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(cast("list[object]", offsets)) != 2:
        raise TypeError("it has no shape or no offsets")
    begin, end = (int(str(each)) for each in cast("list[object]", offsets))
    if begin < 0:
        raise ValueError("it begins before the data")
    return _DTYPES[kind], [int(str(each)) for each in cast("list[object]", shape)], begin, end


def _find_key(file: _File, site: str) -> str:
    """The site's FQN, or what is left of it without the root that a spec's patterns are relative to."""
    parts = site.split(".")
    for number in range(len(parts) - 1):
        key = ".".join(parts[number:])
        if key in file.header:
            return key
    known = [key for key in file.header if key != "__metadata__"]
    some = ", ".join(known[:4]) + (f" and {len(known) - 4} more" if len(known) > 4 else "")
    raise ApplyError(f"{file.name} has no XᵀX of {site}. It has {some or 'nothing'}.")


def _factorize(moment: Tensor, file: str) -> Tensor:
    """L, with the smallest ridge on the diagonal that makes the sum positive definite."""
    scale = float(moment.diagonal().mean())
    if not math.isfinite(float(moment.sum())) or not torch.allclose(moment, moment.T, 1e-3, 1e-3 * abs(scale)):
        raise ApplyError(f"{file} holds no XᵀX: a second moment is finite and symmetric.")
    moment = (moment + moment.T) / 2
    for ridge in _RIDGE:
        raised = moment + ridge * scale * torch.eye(len(moment), dtype=moment.dtype)
        try:
            return cast(Tensor, torch.linalg.cholesky(raised))  # pyright: ignore[reportUnknownMemberType]  # untyped in torch
        except RuntimeError:  # not positive definite
            continue
    raise ApplyError(f"{file} holds no XᵀX: a second moment has no negative eigenvalues.")
