"""k-means: vectors and a number of clusters go in, the cluster of each vector comes out, the same in every run."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightning_tying.errors import ConfigError

_SEED, _RESTARTS = 0, 10


def cluster_vectors(vectors: NDArray[np.float64], clusters: int) -> list[int]:
    """The cluster of each vector, numbered in the order in which they appear.

    Args:
        vectors: float64 [n, d].
        clusters: how many, from 1 to n; equal vectors may leave fewer.

    Raises:
        ConfigError: scikit-learn is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of fewer clusters, which the caller sees
        kmeans: Any = _import_kmeans()(clusters, n_init=_RESTARTS, random_state=_SEED)
        labels: list[int] = kmeans.fit_predict(vectors).tolist()
    order = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    return [order[label] for label in labels]


def _import_kmeans() -> Any:
    try:
        return import_module("sklearn.cluster").KMeans  # an optional package without types, and slow to import
    except ImportError as error:
        raise ConfigError(
            "The strategy clustered needs the package scikit-learn, which is not installed: "
            "pip install 'lightning-tying[vocab]'"
        ) from error
