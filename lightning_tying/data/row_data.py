"""RowData: the LightningDataModule that all data of this package are; a source of rows goes in, loaders come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import LightningDataModule
from typing_extensions import override

from lightning_tying.data.corpus import Split
from lightning_tying.data.epoch_batches import EpochBatches, EvenBatches
from lightning_tying.data.loader import EvalLoader, TrainLoader
from lightning_tying.data.order import EpochOrder
from lightning_tying.data.row_source import RowSource
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling
from lightning_tying.vocab.vocabulary import Vocabulary


class RowData(LightningDataModule, ABC):
    """Loaders over rows. Each process takes its part of one global batch, whatever `use_distributed_sampler` says.

    Args:
        batch_size: rows a process and batch, at least 1.
        sampling: the share of each group of rows in an epoch; None takes every row once.
        seed: decides the order of the training rows, together with the epoch's number alone; at least 0.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(self, batch_size: int, sampling: Sampling | None, seed: int) -> None:
        super().__init__()
        if batch_size < 1:
            raise ConfigError(f"data.batch_size is {batch_size}; it must be at least 1.")
        if seed < 0:
            raise ConfigError(f"data.seed is {seed}; it must be at least 0.")
        self.batch_size = batch_size
        self.sampling = sampling
        self.seed = seed
        self.vocabulary: Vocabulary | None = None
        self.languages: list[str] = []
        self.classes: list[str] = []
        self._loader: TrainLoader | None = None
        self._position: dict[str, int] | None = None

    @abstractmethod
    def rows(self, split: Split) -> RowSource:
        """The rows of a split.

        Raises:
            ConfigError: the data cannot be read, or the split is empty.
        """

    def make_order(self, rows: RowSource, world_size: int) -> EpochBatches:
        """What the training loader takes its batches from.

        Args:
            rows: the training rows.
            world_size: the number of processes, which share a batch.
        """
        return EvenBatches(EpochOrder(rows.groups, self.sampling, self.seed), self.batch_size * world_size)

    @override
    def train_dataloader(self) -> TrainLoader:
        rows = self.rows("train")
        overfit = float(getattr(self.trainer, "overfit_batches", 0.0)) > 0
        rank, world_size = self._process()
        order = self.make_order(rows, world_size)
        loader = TrainLoader(rows, order, self.batch_size, rank=rank, world_size=world_size, fixed=overfit)
        if self._position is not None:
            loader.load_state_dict(self._position)
        self._loader, self._position = loader, None
        return loader

    @override
    def state_dict(self) -> dict[str, Any]:
        """The position among the training rows, for the checkpoint.

        Lightning keeps loaders' positions too, and loses them where the number of steps is asked for before a
        checkpoint's loops are restored, as schedules do.
        """
        return {} if self._loader is None else {"position": self._loader.state_dict()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader go on from the checkpoint's position."""
        self._position = state_dict.get("position")

    @override
    def val_dataloader(self) -> EvalLoader:
        return self._eval_loader("val")

    @override
    def test_dataloader(self) -> EvalLoader:
        return self._eval_loader("test")

    @override
    def predict_dataloader(self) -> EvalLoader:
        return self.test_dataloader()

    def _eval_loader(self, split: Split) -> EvalLoader:
        rank, world_size = self._process()
        return EvalLoader(self.rows(split), self.batch_size, rank=rank, world_size=world_size)

    def _process(self) -> tuple[int, int]:
        """The rank and number of processes that take different data (those of one tensor-parallel group do not)."""
        facts = self.trainer.distributed_sampler_kwargs if self.trainer is not None else None
        return (int(facts["rank"]), int(facts["num_replicas"])) if facts else (0, 1)
