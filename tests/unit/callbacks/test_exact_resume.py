"""Every checkpoint that RunCheckpoint ever writes can be resumed as if there had been no break."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.callbacks.random_state import KeepRandomState
from lightning_tying.callbacks.run_checkpoint import MID_STEP, RunCheckpoint
from lightning_tying.data.loader import EvalLoader, TrainLoader
from lightning_tying.data.order import EpochOrder
from lightning_tying.data.row_source import TensorRows
from lightning_tying.errors import ConfigError
from lightning_tying.plugins import AtomicCheckpoints


class Net(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
        tie(self, {"share": ["net.{i}.weight = W + low_rank(2)"]})

    def loss(self, batch: Any) -> Tensor:
        hidden = functional.dropout(self.net(batch["input"]), 0.5, self.training)
        return (hidden - batch["label"][:, None]).square().mean()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Diary(Callback):
    """What was computed, by its place, and how often each hook was called."""

    def __init__(self) -> None:
        self.losses: dict[tuple[int, int], str] = {}
        self.found: dict[str, Any] = {"begun": 0, "ended": 0, "scores": {}}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.found["begun"] += 1

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses[trainer.current_epoch, batch_idx] = float(outputs["loss"]).hex()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.found["ended"] += 1

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        if not trainer.sanity_checking:
            place = f"{trainer.global_step} {trainer.fit_loop.epoch_loop.total_batch_idx}"
            self.found["scores"][place] = float(trainer.callback_metrics["val/loss"]).hex()

    def state_dict(self) -> dict[str, Any]:
        return {**self.found, "scores": dict(self.found["scores"])}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.found = {**state_dict, "scores": dict(state_dict["scores"])}


class KeepAll(AtomicCheckpoints):
    """Keeps a copy of every file."""

    def __init__(self, copies: Path | None) -> None:
        super().__init__()
        self.copies = copies

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        super().save_checkpoint(checkpoint, path, storage_options)
        if self.copies is not None:
            shutil.copy(path, self.copies / f"{len(list(self.copies.iterdir())):02d}-{Path(path).name}")


def fit(folder: Path, checkpoint: Path | None, copies: Path | None, every: int, **options: Any) -> Diary:
    seed_everything(1, verbose=False)
    draw = torch.Generator().manual_seed(0)
    rows = TensorRows(torch.randn(12, 6, generator=draw), torch.randint(0, 3, (12,), generator=draw))
    diary = Diary()
    monitor = None if options.get("limit_val_batches") == 0 else "val/loss"
    callbacks = [diary, KeepRandomState(), RunCheckpoint(folder, monitor, every_n_steps=every)]
    trainer = Trainer(
        accelerator="cpu", default_root_dir=folder, logger=False, enable_progress_bar=False, callbacks=callbacks,
        enable_model_summary=False, plugins=[KeepAll(copies)], **options,
    )  # fmt: skip
    loaders = TrainLoader(rows, EpochOrder(rows.groups, None, 3), 4), EvalLoader(rows, 6)
    trainer.fit(Net(), *loaders, ckpt_path=checkpoint, weights_only=True)
    return diary


def flatten(content: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from flatten(value, f"{path}/{key}")
    elif isinstance(content, list | tuple):
        for place, value in enumerate(content):
            yield from flatten(value, f"{path}/{place}")
    else:
        yield path, content.tolist() if isinstance(content, Tensor) else content


CASES: list[dict[str, Any]] = [
    {"max_steps": 7, "val_check_interval": 2, "check_val_every_n_epoch": None, "every": 1},
    {"max_steps": 6, "val_check_interval": 3, "check_val_every_n_epoch": None, "every": 2},
    {"max_epochs": 3, "every": 2},
    {"max_epochs": 2, "val_check_interval": 3, "every": 1},  # by number of batches: just before the epoch's end
    {"max_steps": 5, "limit_val_batches": 0, "every": 2},
    {"max_epochs": 4, "check_val_every_n_epoch": 2, "every": 4},
    {"max_epochs": 3, "val_check_interval": 2, "accumulate_grad_batches": 2, "every": 1},
    {"max_epochs": 2, "val_check_interval": 1, "accumulate_grad_batches": 2, "every": 1},
]


@pytest.mark.parametrize("case", CASES, ids=[" ".join(f"{k}={v}" for k, v in case.items()) for case in CASES])
def test_every_checkpoint_goes_on_exactly(case: dict[str, Any], tmp_path: Path) -> None:
    folder, copies = tmp_path / "run", tmp_path / "copies"
    copies.mkdir()
    whole = fit(folder, None, copies, **case)
    end = dict(flatten(torch.load(folder / "last.ckpt", weights_only=True)))
    files = sorted(copies.iterdir())
    assert len(files) >= 4
    for file in files:
        content = torch.load(file, weights_only=True)
        if content.get(MID_STEP):
            assert "best" in file.name
            continue
        shutil.rmtree(folder, ignore_errors=True)
        resumed = fit(folder, file, None, **case)
        assert resumed.losses.items() <= whole.losses.items(), file.name
        if content["global_step"] == case.get("max_steps"):  # nothing is left to do, and an epoch that was cut
            assert not resumed.losses  # short is not ended again
            continue
        assert resumed.found == whole.found, file.name
        last = folder / "last.ckpt"
        assert dict(flatten(torch.load(last if last.exists() else file, weights_only=True))) == end, file.name


def test_last_is_saved_while_the_metric_does_not_improve(tmp_path: Path) -> None:
    class Worse(Net):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val/loss", float(self.global_step))

    rows = TensorRows(torch.randn(12, 6), torch.zeros(12, dtype=torch.int64))
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_steps=3,
        callbacks=[RunCheckpoint(tmp_path, "val/loss")], val_check_interval=1, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(Worse(), TrainLoader(rows, EpochOrder(rows.groups, None, 3), 4), EvalLoader(rows, 6))
    steps = {name: torch.load(tmp_path / name, weights_only=True)["global_step"] for name in ("best.ckpt", "last.ckpt")}
    assert steps == {"best.ckpt": 1, "last.ckpt": 3}


def test_a_number_of_steps_is_at_least_one() -> None:
    with pytest.raises(ConfigError, match="every_n_steps"):
        RunCheckpoint("folder", every_n_steps=0)
