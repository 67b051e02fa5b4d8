"""Digits: scikit-learn's 1,797 scanned digits go in, batches of 8×8 images come out."""

from __future__ import annotations

from importlib import import_module
from typing import Any, final

import torch
from torch import Tensor
from typing_extensions import override

from lightning_tying.data.catalog_files import INSTALL
from lightning_tying.data.class_split import split_classes
from lightning_tying.data.corpus import Split
from lightning_tying.data.row_data import RowData
from lightning_tying.data.row_source import TensorRows
from lightning_tying.errors import ConfigError

_SHARES = (0.8, 0.9)  # of each class: training up to the first, validation up to the second, the rest is test


@final
class Digits(RowData):
    """Real images that install offline: 1,797 digits of 43 writers, 8×8 pixels, 10 classes (UCI, test part).

    A batch is `{"input": float32 [B, 1, 8, 8] from 0 to 1, "label": int64 [B]}`. The split (80, 10, 10 % of each class)
    is always the same. Needs the package scikit-learn (extra `examples`).

    Args:
        batch_size: images a process and batch.
        seed: of the order of the training images.

    Raises:
        ConfigError: an argument is out of range; scikit-learn is missing (when the images are read).
    """

    def __init__(self, batch_size: int = 64, seed: int = 0) -> None:
        super().__init__(batch_size, None, seed)
        self.classes = [str(digit) for digit in range(10)]
        self._rows: dict[Split, TensorRows] = {}

    @override
    def rows(self, split: Split) -> TensorRows:
        if not self._rows:
            images, labels = _load_digits()
            places = split_classes(labels.numpy(), _SHARES).items()
            self._rows = {name: TensorRows(images[index], labels[index]) for name, index in places}
        return self._rows[split]

    @override
    def setup(self, stage: str) -> None:
        """Load the images, so that a missing package is told before anything else happens."""
        self.rows("train")


def _load_digits() -> tuple[Tensor, Tensor]:
    try:
        datasets: Any = import_module("sklearn.datasets")  # an optional package, without types
    except ImportError as error:
        raise ConfigError(f"Digits needs the package scikit-learn, which is not installed: {INSTALL}") from error
    data = datasets.load_digits()
    images = torch.as_tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    return images, torch.as_tensor(data.target, dtype=torch.int64)
