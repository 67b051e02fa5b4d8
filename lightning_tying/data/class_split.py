"""The split of labelled rows: labels go in, the rows of each split come out, each class with its share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightning_tying.data.corpus import SPLITS, Split

Numbers = NDArray[np.int64]


def split_classes(labels: Numbers, shares: tuple[float, float]) -> dict[Split, Numbers]:
    """The rows of each split, sorted; each class is shuffled by itself, so that all splits have its share.

    Args:
        labels: int64 [rows]; the split depends on nothing else, so that it is always the same.
        shares: of each class: training up to the first, validation up to the second, the rest is test.
    """
    parts: dict[Split, list[Numbers]] = {split: [np.zeros(0, np.int64)] for split in SPLITS}
    for label in np.unique(labels).tolist():
        members = np.flatnonzero(labels == label)
        shuffled = np.random.default_rng(label).permutation(members)
        cuts = [int(len(members) * share) for share in shares]
        for split, part in zip(SPLITS, np.split(shuffled, cuts), strict=True):
            parts[split].append(part)
    return {split: np.sort(np.concatenate(part)) for split, part in parts.items()}
