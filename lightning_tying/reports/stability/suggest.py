"""Uses that conflict in; what the spec could say instead out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from lightning_tying.reports.stability.pair_table import Pair
from lightning_tying.reports.stability.summary import mean_of
from lightning_tying.reports.stability.use_names import CALLS, Numbering

DELTA = "a delta of its own for each, `+ low_rank(8)`"


def suggest_sharing(layouts: Sequence[Numbering | None], pairs: Sequence[Pair]) -> str:
    """Twice as many shared parameters, divided as the measured cosines divide the layers; else a delta for each use.

    Args:
        layouts: the numbers of the uses of each group of a family.
        pairs: their cosines.
    """
    known = [layout for layout in layouts if layout is not None]
    if not known or len(known) < len(layouts):
        return DELTA
    if any(layout.word == CALLS for layout in known):
        return "layers with parameters of their own instead of one module that is called again"
    blocks = list(dict.fromkeys(tuple(sorted(layout.numbers)) for layout in known))
    if 2 * len(blocks) >= sum(len(block) for block in blocks):
        return DELTA
    options = {kind: _split(blocks, kind) for kind in ("cycle", "sequence") if _is_laid_out(blocks, kind)}
    if not options:
        return DELTA
    best = max(options, key=lambda kind: _agreement(options[kind], pairs))
    return f"{best}(l, {2 * len(blocks)})"


def _is_laid_out(blocks: Sequence[tuple[int, ...]], kind: str) -> bool:
    """Whether layers are in one block by their remainder (cycle), or by their neighbors (sequence)."""
    ordered = sorted(blocks)
    if kind == "cycle":
        return all(len({number % len(blocks) for number in block}) == 1 for block in blocks)
    return all(one[-1] < other[0] for one, other in pairwise(ordered))


def _split(blocks: Sequence[tuple[int, ...]], kind: str) -> list[tuple[int, ...]]:
    if kind == "cycle":
        return [block[start::2] for block in blocks for start in (0, 1)]
    return [part for block in blocks for part in (block[: (len(block) + 1) // 2], block[(len(block) + 1) // 2 :])]


def _agreement(blocks: Sequence[tuple[int, ...]], pairs: Sequence[Pair]) -> float:
    """Mean cosine of what would stay together; a block of one layer has no conflict."""
    together = [set(block) for block in blocks]
    kept = [pair.cosine for pair in pairs if any(set(pair.numbers or ()) <= block for block in together)]
    return mean_of(kept) if kept else 1.0
