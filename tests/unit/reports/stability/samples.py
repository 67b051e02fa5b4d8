"""Per-use gradients written by hand in; what a sampled step hands on of them, and records, out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_tying.reports.stability.record import Record, make_record


@dataclass(frozen=True, eq=False)
class Numbers:
    keys: tuple[str, ...]
    norms: tuple[float, ...]
    sum_norm: float
    gram: Tensor | None
    finite: bool = True
    first_nonfinite: str | None = None
    cosine_error: float = 0.0
    sum_sketch: Tensor | None = None
    site_norms: tuple[float, ...] = ()


def measure(gradients: Tensor, uses: Sequence[str] | None = None, *, pairs: bool = True) -> Numbers:
    """What is measured of gradients, one a row."""
    flat = gradients.double()
    lengths = [math.sqrt(sum(float(cell) ** 2 for cell in row)) for row in flat]
    finite = bool(flat.isfinite().all())
    keys = tuple(uses or [f"layers.{place}.fc.weight" for place in range(len(flat))])
    broken = [key for key, row in zip(keys, flat, strict=True) if not bool(row.isfinite().all())]
    total = flat.sum(dim=0)
    return Numbers(
        keys, tuple(lengths), float(torch.linalg.vector_norm(total)), flat @ flat.T if pairs else None, finite,
        broken[0] if broken else None, sum_sketch=total,
    )  # fmt: skip


def record(step: int, group: str, gradients: Tensor, uses: Sequence[str] | None = None, **more: float) -> Record:
    return make_record(step, group, measure(gradients, uses), **more)  # type: ignore[arg-type]  # one number


def opposed(layers: int, seed: int, *, by: str = "cycle", strength: float = 3.0) -> Tensor:
    """Gradients of which those of odd layers (cycle), or of the upper half (sequence), point the other way."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.ones(64) * strength / 8
    turned = [layer % 2 if by == "cycle" else int(layer >= layers // 2) for layer in range(layers)]
    signs = torch.tensor([1.0 - 2 * turn for turn in turned])
    return signs[:, None] * common + 0.1 * torch.randn(layers, 64, generator=generator)
