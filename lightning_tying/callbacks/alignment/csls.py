"""CSLS@1: two tables of word vectors and pairs of translations go in, the part of words that find theirs comes out."""

# pyright: reportUnknownMemberType=false
# torch and torchmetrics are typed in part only.

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric
from typing_extensions import override

from lightning_tying.errors import ConfigError

_CHUNK = 1024  # rows whose similarities to a whole table are held at once


class CSLSRetrieval(Metric):
    """The part of source words whose nearest target word, by CSLS, is a translation of theirs.

    Conneau et al. 2018, "Word translation without parallel data", eq. 1:
    CSLS(x, y) = 2 cos(x, y) − r(x) − r(y), where r(x) is the mean cosine of x and its `k` nearest target words, and
    r(y) that of y and its `k` nearest source words. It takes from words that are near to everything.

    Args:
        k: neighbors; fewer where a table has fewer rows.
    """

    full_state_update = False
    higher_is_better = True
    hits: Tensor
    words: Tensor

    def __init__(self, k: int = 10) -> None:
        super().__init__()
        if k < 1:
            raise ConfigError(f"CSLS needs at least one neighbor; k is {k}.")
        self.k = k
        for name in ("hits", "words"):
            self.add_state(name, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    @override
    def update(self, source: Tensor, target: Tensor, pairs: Tensor) -> None:
        """Look up the source words of the pairs.

        Args:
            source: all words of the one language, [n, d].
            target: all words of the other, [m, d], in the same space.
            pairs: rows of `source` and of `target`, int64 [p, 2]; a word may have several translations, each is right.
        """
        if not len(pairs):
            return
        one, other = (functional.normalize(table.detach().float(), dim=1) for table in (source, target))
        near_source = torch.cat([self._mean_nearest(part) for part in _similarities(other, one)])  # r(y), of targets
        queries, place = cast("tuple[Tensor, Tensor]", pairs[:, 0].unique(return_inverse=True))
        gold = torch.zeros(len(queries), len(other), dtype=torch.bool, device=other.device)
        gold[place, pairs[:, 1]] = True
        start = 0
        for cosines in _similarities(one[queries], other):
            # r(x) is the same for all targets of a word, so the order does not depend on it
            best = (2 * cosines - near_source).argmax(dim=1)
            self.hits += gold[start : start + len(best)].gather(1, best[:, None]).sum()
            start += len(best)
        self.words += len(queries)

    @override
    def compute(self) -> Tensor:
        """The part, from 0 to 1; not a number where no word was looked up."""
        return self.hits / self.words

    def _mean_nearest(self, cosines: Tensor) -> Tensor:
        return cosines.topk(min(self.k, cosines.shape[1]), dim=1).values.mean(dim=1)


def _similarities(rows: Tensor, table: Tensor) -> Iterator[Tensor]:
    """Cosines of some rows at a time with a whole table; all have norm 1."""
    for part in cast("tuple[Tensor, ...]", rows.split(_CHUNK)):
        yield part @ table.T
