"""JointData: which members a step has, how often, and that a resumed run sees what was left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from typing_extensions import override

from lightning_tying.data import JointData
from lightning_tying.data.joint_loader import JointLoader
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling
from tests.unit.tasks.joint.joint_runs import QUIET, make_data, run

BY_SIZE = Sampling(policy="proportional")


class Recorder(LightningModule):
    """Keeps the members and a fingerprint of every batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[dict[str, float]] = []

    @override
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.seen.append({name: float(part["input"].sum()) for name, part in batch.items()})
        return self.weight * 1.0

    @override
    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(folder: Path, data: JointData, checkpoint: Path | None = None, **options: Any) -> list[dict[str, float]]:
    model = Recorder()
    keep = ModelCheckpoint(dirpath=folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    run(folder, model, data, keep, ckpt_path=checkpoint, **{"enable_checkpointing": True, "max_epochs": 3, **options})
    return model.seen


def test_a_step_has_all_members_and_the_shorter_begins_again(tmp_path: Path) -> None:
    seen = fit(tmp_path, JointData(make_data()))
    assert len(seen) == 3 * 5 and all(each.keys() == {"a", "b"} for each in seen)
    rows = make_data()["b"].rows("train")  # type: ignore[attr-defined]
    total = float(rows.batch(torch.arange(24).numpy())["input"].sum())
    for place in range(5):  # three batches of `b` are one pass over it, wherever an epoch of the run begins
        assert sum(each["b"] for each in seen[3 * place : 3 * place + 3]) == pytest.approx(total)


@pytest.mark.parametrize(
    ("sampling", "share"),
    [
        (BY_SIZE, 5 / 8),
        (Sampling(policy="uniform"), 1 / 2),
        (Sampling(policy="weights", weights={"a": 1, "b": 9}), 0.1),
    ],
    ids=["size", "uniform", "weights"],
)
def test_members_are_drawn_in_their_shares(sampling: Sampling, share: float) -> None:
    loader = JointData(make_data(), sampling, steps=2000).train_dataloader()
    counts = Counter(loader.draws(0))
    assert counts["a"] / 2000 == pytest.approx(share, abs=0.04)
    assert loader.draws(0) == loader.draws(0) != loader.draws(1)
    assert JointData(make_data(), sampling, steps=2000, seed=1).train_dataloader().draws(0) != loader.draws(0)


def test_a_drawn_step_has_one_member(tmp_path: Path) -> None:
    data = JointData(make_data(), BY_SIZE)
    seen = fit(tmp_path, data, max_epochs=1)
    assert [list(each) for each in seen] == [[name] for name in data.train_dataloader().draws(0)]
    assert len(seen) == 5 + 3


@pytest.mark.parametrize("sampling", [None, BY_SIZE], ids=["together", "drawn"])
@pytest.mark.parametrize("steps", [2, 4, 9])
def test_a_resumed_run_sees_exactly_what_was_left(sampling: Sampling | None, steps: int, tmp_path: Path) -> None:
    whole = fit(tmp_path / "whole", JointData(make_data(), sampling, steps=4))
    checkpoint = tmp_path / "whole" / f"step={steps}.ckpt"
    rest = fit(tmp_path / "rest", JointData(make_data(), sampling, steps=4), checkpoint)
    assert len(whole) == 12 and rest == whole[steps:]


@pytest.mark.parametrize(("limit", "count"), [(3, 3), (0.5, 4), (1.0, 8)])
def test_the_trainer_limits_steps_not_members(limit: float, count: int, tmp_path: Path) -> None:
    assert len(fit(tmp_path, JointData(make_data(), BY_SIZE), max_epochs=1, limit_train_batches=limit)) == count


def test_loaders_of_torch_are_members_too(tmp_path: Path) -> None:
    class Plain(LightningDataModule):
        @override
        def train_dataloader(self) -> Any:
            return DataLoader([{"input": torch.ones(1)}] * 4, batch_size=2)

    assert fit(tmp_path, JointData({"a": Plain()}), max_epochs=1) == [{"a": 2.0}] * 2


def test_a_member_without_validation_has_no_loader() -> None:
    class TrainOnly(LightningDataModule):
        @override
        def train_dataloader(self) -> Any:
            return DataLoader([torch.zeros(1)])

    data = JointData({"only": TrainOnly(), **make_data()})
    assert list(data.val_dataloader()) == ["a", "b"]


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        while True:
            yield {"input": torch.ones(1)}


def test_data_without_an_end_need_a_number_of_steps() -> None:
    loaders = {"a": DataLoader(Endless(), batch_size=2), "b": make_data()["b"].train_dataloader()}
    with pytest.raises(ConfigError, match=r"`a` have no length\. Say `steps`"):
        JointLoader(loaders)
    with pytest.raises(ConfigError, match="goes by size, and the data of `a` have no length"):
        JointLoader(loaders, BY_SIZE, 3)
    assert len(JointLoader(loaders, Sampling(policy="uniform"), 3)) == 3


def test_a_member_without_batches() -> None:
    with pytest.raises(ConfigError, match="`a` have no batch"):
        JointLoader({"a": DataLoader([])})


def test_a_checkpoint_of_other_members() -> None:
    state = JointData(make_data()).state_dict()
    with pytest.raises(ConfigError, match="data are of a, b, and this run's of a"):
        JointData({"a": make_data()["a"]}).load_state_dict(state)


def test_members_know_the_trainer(tmp_path: Path) -> None:
    data = JointData(make_data())
    trainer = Trainer(**QUIET, max_steps=1, limit_val_batches=0, default_root_dir=tmp_path)
    trainer.fit(Recorder(), data)
    assert all(each.trainer is trainer for each in data.members.values())
