"""Tensors that each process has trained apart go in; their averages over the processes come out, bytes are counted."""

# pyright: reportUnknownMemberType=false
# torch.distributed is typed in part only.

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, distributed

from lightning_tying.lowering.sync.average import Rows

_torch: Any = distributed  # its stubs leave these functions open


def mix_over_ranks(tensors: Sequence[Tensor], rows: Rows) -> int:
    """W_r ← Σ_s P_rs W_s over the processes r, s, in place: local SGD (Stich 2019, arXiv:1805.09767, algorithm 1).

    Where all rows are equal, one sum over all processes does it; else each process sends to those alone that take a
    share of it. Tensors of half precision are sent and added as float32.

    Args:
        tensors: alike on all processes in number, order and shape.
        rows: the mixing matrix P, a row for each process.

    Returns:
        How many bytes this process handed over: to the sum, or to each receiver.
    """
    sent = 0
    for part in _group(tensors):
        flat = torch.cat([tensor.detach().reshape(-1) for tensor in part])
        flat = flat.to(torch.promote_types(torch.float32, flat.dtype))
        if len(set(rows)) == 1:
            mixed = flat * rows[0][distributed.get_rank()]
            _torch.all_reduce(mixed)
            sent += flat.nbytes
        else:
            mixed, receivers = _gossip(flat, rows)
            sent += flat.nbytes * receivers
        _write(part, mixed)
    return sent


def gather_numbers(number: float) -> tuple[float, ...]:
    """The number of every process, in the order of their ranks."""
    gathered: list[float] = [0.0] * distributed.get_world_size()
    _torch.all_gather_object(gathered, float(number))
    return tuple(gathered)


def agree_on_keys(mine: Sequence[tuple[str, str, tuple[int, ...]]]) -> list[tuple[str, str, tuple[int, ...]]]:
    """What all processes have of a list, in its order."""
    gathered: list[Sequence[tuple[str, str, tuple[int, ...]]]] = [() for _ in range(distributed.get_world_size())]
    _torch.all_gather_object(gathered, list(mine))
    common = set(gathered[0]).intersection(*gathered)
    return [each for each in mine if each in common]


def _gossip(mine: Tensor, rows: Rows) -> tuple[Tensor, int]:
    rank = distributed.get_rank()
    received: dict[int, Tensor] = {rank: mine}
    receivers = [other for other, row in enumerate(rows) if other != rank and row[rank] > 0]
    operations = [_torch.P2POp(distributed.isend, mine, other) for other in receivers]
    for other, share in enumerate(rows[rank]):
        if other != rank and share > 0:
            received[other] = torch.empty_like(mine)
            operations.append(_torch.P2POp(distributed.irecv, received[other], other))
    for work in _torch.batch_isend_irecv(operations) if operations else ():
        work.wait()
    mixed = torch.zeros_like(mine)
    for other in sorted(received):
        mixed.add_(received[other], alpha=rows[rank][other])
    return mixed, len(receivers)


def _group(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """The tensors by dtype and device, in order of first sight, which is the same everywhere."""
    groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return list(groups.values())


def _write(tensors: Sequence[Tensor], flat: Tensor) -> None:
    start = 0
    with torch.no_grad():
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view(tensor.shape))
            start += tensor.numel()
