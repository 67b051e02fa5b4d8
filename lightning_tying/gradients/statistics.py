"""What a sampled step left of the per-use gradients of one shared parameter, as plain numbers; nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lightning_tying.gradients.keys import UseKey


@dataclass(frozen=True, eq=False)
class RowNorms:
    """The norms of the rows of per-use gradients; float64 on the CPU.

    Args:
        uses: of the gradient of each use, [uses, rows].
        total: of the sum over all uses, [rows].
    """

    uses: Tensor
    total: Tensor


@dataclass(frozen=True, eq=False)
class UseStatistics:
    """The per-use gradients of one shared parameter at one sampled step.

    All norms are of unscaled gradients. `cosine_error` is 0 where they are exact.

    Args:
        keys: the uses, in the order of the forward pass.
        norms: of the gradient of each use.
        sum_norm: of the sum over all uses.
        gram: the inner products of all pairs, [uses, uses], float64 on the CPU; None where none were taken.
        finite: whether no gradient had a NaN or an infinite cell.
        first_nonfinite: the first use in the backward pass whose gradient had one.
        cosine_error: the standard deviation of the error of a cosine, at most; norms and `sum_norm` have half of it,
            relative to the norms.
        sum_sketch: a random projection of the sum, [sketch size], float64 on the CPU, comparable over the steps of a
            run; None where none was taken.
        site_norms: for each use the norm of the gradient at the site, before it went through the site's expression;
            equal to `norms` for an alias. NaN where the value of the site was not computed: a linear layer may read
            the parts of `base + low_rank(r)` one by one. Over several backward passes or processes the root of the
            summed, or averaged, squares. Empty where it was not measured.
        rows: of a parameter whose rows were asked for; None for all others.
    """

    keys: tuple[UseKey, ...]
    norms: tuple[float, ...]
    sum_norm: float
    gram: Tensor | None = None
    finite: bool = True
    first_nonfinite: UseKey | None = None
    cosine_error: float = 0.0
    sum_sketch: Tensor | None = None
    site_norms: tuple[float, ...] = ()
    rows: RowNorms | None = None
