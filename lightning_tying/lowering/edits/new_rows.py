"""Which old ids a new vocabulary's come from and a rule in; what every new row is made of out."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# torch is typed in part only.

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import torch
from torch import Tensor

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.row_change import Origins, RowChange

NewRowRule = Literal["mean", "subword_mean", "overlap", "omp"]
NEW_ROW_RULES: tuple[NewRowRule, ...] = get_args(NewRowRule)
ATOMS = 8  # of an orthogonal matching pursuit, where the caller says nothing
_CHUNK = 512  # new rows at a time: the similarities to all kept ones are in memory

Entries = tuple[Tensor, Tensor, Tensor]  # targets, sources, weights


def make_row_change(
    origins: Origins, rule: NewRowRule = "mean", vectors: Tensor | None = None, *, rows: int | None = None,
    atoms: int = ATOMS,
) -> RowChange:  # fmt: skip
    """Decide what every row of a new vocabulary is made of.

    Rows that are kept are kept whatever the rule is. A new row that its rule says nothing of is the mean.

    Args:
        origins: which old ids each new id comes from.
        rule: `mean` of all old rows; `subword_mean` of the old pieces that spell the new one (Gee et al. 2022, FVT);
            `overlap`, of the kept pieces that are like it in a helper space, weighted by the sparsemax of their
            cosines (Dobler and de Melo 2023, FOCUS, section 3); `omp`, the sum of `atoms` kept pieces that comes
            nearest to it in the helper space (orthogonal matching pursuit).
        vectors: the helper space, a vector for each new id, [ids, dimensions]; for overlap and omp.
        rows: how many rows the new table has; default one for each new id. What is more has no piece.
        atoms: how many kept pieces `omp` combines at most.

    Raises:
        ApplyError: a helper space is missing or of another size, or no piece is kept.
    """
    if rule not in NEW_ROW_RULES:
        raise ApplyError(f"new_rows is one of {', '.join(NEW_ROW_RULES)}, not {rule!r}.")
    size = len(origins.kept)
    count = size if rows is None else rows
    if count < size:
        raise ApplyError(f"The new vocabulary has {size} ids, which do not fit into {count} rows.")
    kept = torch.full((count,), -1, dtype=torch.int64)
    kept[:size] = torch.as_tensor(origins.kept, dtype=torch.int64)
    entries = _no_entries()
    if rule == "subword_mean":
        entries = _average_parts(origins)
    elif rule in ("overlap", "omp") and bool((kept[:size] < 0).any()):
        space = _check_space(rule, vectors, kept[:size], atoms)
        found = _overlap(space, kept[:size]) if rule == "overlap" else _match(space, kept[:size], atoms)
        entries = _join(list(found))
    return RowChange(origins.old_size, kept, *entries)


def sparsemax(scores: Tensor) -> Tensor:
    """The point of the simplex nearest to each row: softmax's sparse relative (Martins and Astudillo 2016, alg. 1).

    Args:
        scores: [..., n].
    """
    ranked = scores.sort(dim=-1, descending=True).values
    sums = ranked.cumsum(-1) - 1
    numbers = torch.arange(1, scores.shape[-1] + 1, dtype=scores.dtype, device=scores.device)
    support = (ranked * numbers > sums).sum(-1, keepdim=True)
    threshold = sums.gather(-1, support - 1) / support
    return (scores - threshold).clamp_min(0)


def _average_parts(origins: Origins) -> Entries:
    """Each part's share; a piece that is in it twice counts twice."""
    pairs = [
        (new, old, 1 / len(parts)) for new, parts in enumerate(origins.parts) if origins.kept[new] < 0 for old in parts
    ]
    targets, sources, weights = zip(*pairs, strict=True) if pairs else ((), (), ())
    return (
        torch.tensor(targets, dtype=torch.int64),
        torch.tensor(sources, dtype=torch.int64),
        torch.tensor(weights, dtype=torch.float64),
    )


def _overlap(space: Tensor, kept: Tensor) -> Iterator[Entries]:
    known = (kept >= 0).nonzero().flatten()
    for chunk in _find_placed(space, kept).split(_CHUNK):
        shares = sparsemax(space[chunk] @ space[known].T)
        places, columns = shares.nonzero(as_tuple=True)
        yield chunk[places], kept[known[columns]], shares[places, columns]


def _match(space: Tensor, kept: Tensor, atoms: int) -> Iterator[Entries]:
    known = (kept >= 0).nonzero().flatten()
    known = known[space[known].any(1)]
    for chunk in _find_placed(space, kept).split(_CHUNK):
        chosen, weights = _pursue(space[chunk], space[known], min(atoms, len(known)))
        places, columns = weights.nonzero(as_tuple=True)
        yield chunk[places], kept[known[chosen[places, columns]]], weights[places, columns]


def _pursue(wanted: Tensor, known: Tensor, atoms: int) -> tuple[Tensor, Tensor]:
    """Greedily the atom nearest to what is left, all coefficients fitted again each time (Pati et al. 1993).

    Returns:
        Numbers of atoms and their weights, [wanted, atoms] each.
    """
    left = wanted.clone()
    chosen = torch.zeros((len(wanted), 0), dtype=torch.int64)
    weights = torch.zeros((len(wanted), 0), dtype=wanted.dtype)
    for _ in range(atoms):
        likeness = (left @ known.T).abs().scatter(1, chosen, -1.0)
        chosen = torch.cat([chosen, likeness.argmax(1, keepdim=True)], 1)
        basis = known[chosen]
        gram = basis @ basis.mT
        gram.diagonal(dim1=-2, dim2=-1).add_(1e-9)  # two pieces may have one vector
        weights = torch.linalg.solve(gram, (basis @ wanted.unsqueeze(-1))).squeeze(-1)
        left = wanted - (weights.unsqueeze(1) @ basis).squeeze(1)
    return chosen, weights


def _check_space(rule: str, vectors: Tensor | None, kept: Tensor, atoms: int) -> Tensor:
    """The helper space with vectors of length 1, in double precision."""
    if vectors is None:
        raise ApplyError(f"new_rows={rule} needs a helper space: a vector for each id of the new vocabulary.")
    if vectors.dim() != 2 or len(vectors) != len(kept):
        raise ApplyError(f"The helper space is {list(vectors.shape)}, and the new vocabulary has {len(kept)} ids.")
    if not bool(torch.isfinite(vectors).all()):
        raise ApplyError("The helper space has entries that are no numbers.")
    if not bool((kept >= 0).any()):
        raise ApplyError(
            f"No piece of the new vocabulary is in the old one, so new_rows={rule} has nothing to combine."
        )
    if atoms < 1:
        raise ApplyError(f"omp combines 1 piece or more, not {atoms}.")
    return torch.nn.functional.normalize(vectors.detach().cpu().double(), dim=1)


def _find_placed(space: Tensor, kept: Tensor) -> Tensor:
    """The new ids that the helper space places somewhere."""
    return ((kept < 0) & space.any(1)).nonzero().flatten()


def _join(entries: list[Entries]) -> Entries:
    if not entries:
        return _no_entries()
    targets, sources, weights = zip(*entries, strict=True)
    return torch.cat(targets), torch.cat(sources), torch.cat(weights).double()


def _no_entries() -> Entries:
    whole = torch.zeros(0, dtype=torch.int64)
    return whole, whole, torch.zeros(0, dtype=torch.float64)
