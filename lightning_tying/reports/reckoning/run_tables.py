"""What a whole model takes with and without sharing goes in; the rows of the table of totals come out."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_tying.reports.reckoning.footprint import Footprint
from lightning_tying.reports.reckoning.per_token import PerToken
from lightning_tying.reports.reckoning.traffic import Traffic


def total_rows(
    gross: Footprint, net: Footprint, traffic: Traffic, *, optimizer: str | None, peak_bytes: int | None
) -> Iterable[tuple[str, ...]]:
    """Gross, net and the saved part of everything that parameters take.

    Args:
        gross: every site its own parameter.
        net: each parameter once.
        traffic: how the run is spread.
        optimizer: what it keeps, in words; None where that is not known yet.
        peak_bytes: the largest amount of memory so far, None where it was not read.
    """
    state = f"optimizer state ({optimizer})" if optimizer else "optimizer state (known after the first step)"
    titles = {
        "parameters": "parameters",
        "trainable": "trainable parameters",
        "parameter_bytes": "parameter bytes",
        "gradient_bytes": "gradient bytes",
        "state_cells": f"{state}, cells",
        "state_bytes": "optimizer state bytes",
        "checkpoint_bytes": "checkpoint bytes",
    }
    for field, title in titles.items():
        known = optimizer is not None or not field.startswith(("state", "checkpoint"))
        yield _total_row(title, *((getattr(gross, field), getattr(net, field)) if known else (None, None)))
    yield _total_row(f"bytes sent per step ({traffic})", traffic.reckon(gross), traffic.reckon(net))
    if peak_bytes is not None:
        yield "peak memory bytes", "not run", f"{peak_bytes:,}", "-"


def per_token_rows(costs: PerToken) -> Iterable[tuple[str, ...]]:
    """Operations and room in the cache, with the words that they are not saved."""
    if costs.cache_bytes is not None:
        yield "KV-cache bytes per token", f"{costs.cache_bytes:,}", f"{costs.cache_bytes:,}", "not saved"
    if costs.flops_gross is None or costs.flops_net is None:
        yield f"forward FLOPs per {costs.unit}", "not known", "not known", "not saved"
        return
    more = costs.flops_net - costs.flops_gross
    saved = f"{100 * more / costs.flops_gross:.1f} % more" if more > 0 and costs.flops_gross else "not saved"
    how = "counted" if costs.counted else "2 for each matrix cell"
    yield f"forward FLOPs per {costs.unit} ({how})", f"{costs.flops_gross:,}", f"{costs.flops_net:,}", saved


def _total_row(title: str, gross: int | None, net: int | None) -> tuple[str, ...]:
    if gross is None or net is None:
        return title, "not known", "not known", "-"
    if not gross:
        return title, "0", f"{net:,}", "-"
    part = 100 * (1 - net / gross)
    return title, f"{gross:,}", f"{net:,}", f"{part:.0f} %" if part >= 0 else f"{-part:.0f} % more"
