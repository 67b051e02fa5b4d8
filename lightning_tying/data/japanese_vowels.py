"""JapaneseVowels: 640 utterances that the package aeon ships go in, batches of padded series come out."""

from __future__ import annotations

from pathlib import Path
from typing import final

import torch
from typing_extensions import override

from lightning_tying.data.class_split import split_classes
from lightning_tying.data.corpus import SPLITS, Split
from lightning_tying.data.installed import find_installed
from lightning_tying.data.recipe import check_word
from lightning_tying.data.row_data import RowData
from lightning_tying.data.row_source import TensorRows
from lightning_tying.data.time_series import read_time_series
from lightning_tying.errors import ConfigError

_FOLDER = Path("datasets", "data", "JapaneseVowels")
_SHARES = (0.8, 1.0)  # of the archive's training part; its test part is the test


@final
class JapaneseVowels(RowData):
    """Real speech that installs offline: nine men say two vowels; who speaks? (Kudo, Toyama & Shimbo 1999).

    An utterance has 7 to 29 frames of 12 coefficients of linear prediction. A batch is `{"input": float32 [B, 29, 12],
    "label": int64 [B]}`; frames of zeros behind an utterance's last are padding. The archive's 270 utterances for
    training give 216 and, for validation, 54 (six of each speaker, always the same); its 370 for testing are the test.
    Needs the files of the package aeon, which is not imported: `pip install --no-deps aeon`.

    Args:
        batch_size: utterances a process and batch.
        seed: of the order of the training utterances.

    Raises:
        ConfigError: an argument is out of range; aeon or its files are missing or damaged (when they are read).
    """

    def __init__(self, batch_size: int = 16, seed: int = 0) -> None:
        super().__init__(batch_size, None, seed)
        self.classes = [str(speaker) for speaker in range(1, 10)]
        self._rows: dict[Split, TensorRows] = {}

    @override
    def rows(self, split: Split) -> TensorRows:
        check_word("The split", split, SPLITS)
        if not self._rows:
            self._rows = _read_rows(find_installed("aeon", "JapaneseVowels") / _FOLDER, self.classes)
        return self._rows[split]

    @override
    def setup(self, stage: str) -> None:
        """Load the utterances, so that a missing package is told before anything else happens."""
        self.rows("train")


def _read_rows(folder: Path, classes: list[str]) -> dict[Split, TensorRows]:
    known, tested = (read_time_series(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST"))
    if not known.classes == tested.classes == classes:
        raise ConfigError(
            f"JapaneseVowels: the files below {folder} tell other speakers apart than 1 to 9; this version of aeon is "
            "not known. Install another: pip install --no-deps aeon==1.6.0"
        )
    frames = max(known.longest, tested.longest)
    inputs, labels = torch.as_tensor(known.padded(frames)), torch.as_tensor(known.labels)
    places = {split: torch.as_tensor(index) for split, index in split_classes(known.labels, _SHARES).items()}
    return {
        "train": TensorRows(inputs[places["train"]], labels[places["train"]]),
        "val": TensorRows(inputs[places["val"]], labels[places["val"]]),
        "test": TensorRows(torch.as_tensor(tested.padded(frames)), torch.as_tensor(tested.labels)),
    }
