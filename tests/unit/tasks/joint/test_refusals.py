"""Bad input to a joint training: one clear error each, and the members are as they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from lightning_tying.data import JointData
from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.tasks import Classification, JointTraining
from lightning_tying.tasks.build import build
from lightning_tying.tasks.watch.config_keys import check_keys
from lightning_tying.vocab import Sampling
from tests.unit.tasks.joint.joint_runs import HARD, QUIET, Rows, TrunkAndHead, make_data, make_joint, run, sgd


class ByHand(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False


class Stepping(LightningModule):
    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        """Never called."""


def make(classes: int = 3, **options: Any) -> Classification:
    return Classification(TrunkAndHead(classes), **options)


ONE = make()
NETWORK = TrunkAndHead(3)
WRONG: list[tuple[Any, str]] = [
    ({}, "no members"),
    ({"a.b": make()}, "'a.b' cannot be the name of a member"),
    ({"a/b": make()}, "'a/b' cannot be the name of a member"),
    ({1: make()}, "1 cannot be the name of a member"),
    ({"keys": make()}, "`keys`, which clashes with"),
    ({"a": ONE, "b": ONE}, "`a` and `b` are one Classification"),
    ({"a": Classification(NETWORK), "b": Classification(NETWORK)}, "`a` and `b` are one TrunkAndHead"),
    ({"a": nn.Linear(2, 2)}, "`a` is a LightningModule, .* not an object of type Linear"),
    ({"a": make(sharing={"share": ["trunk.{i}.bias = b"]})}, "`a` has a sharing spec of its own.*models.a."),
    ({"a": make(optimizer=sgd)}, "`a` has `optimizer` of its own"),
    ({"a": make(lr_scheduler=lambda made: None)}, "`a` has `lr_scheduler` of its own"),
    ({"a": ByHand()}, "`a` optimizes by hand"),
    ({"a": Stepping()}, "`a` .Stepping. has a `optimizer_step` of its own"),
]


@pytest.mark.parametrize(("members", "said"), WRONG, ids=[said[:24] for _, said in WRONG])
def test_members(members: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        JointTraining(members)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"bb": 1.0}, "`weights` has `bb`, which is no member. Did you mean `b`.*Members: a, b"),
        ({"a": -1.0}, "weight of `a` is -1.0"),
        ({"a": float("nan")}, "weight of `a` is nan"),
        ({"a": 0, "b": 0}, "all weights are 0"),
        ("kendall", "`weights` is a number for each member, or `uncertainty`, not 'kendall'"),
    ],
)
def test_weights(weights: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_joint(weights=weights)


def test_an_unknown_member_to_watch() -> None:
    with pytest.raises(ConfigError, match="no member `c`"):
        make_joint(monitor="c")


def test_shapes_that_do_not_meet_leave_the_networks_alone() -> None:
    members: dict[str, LightningModule] = {"a": make(3), "b": Classification(TrunkAndHead(3, width=4))}
    networks = [task.network for task in members.values()]  # type: ignore[union-attr]
    with pytest.raises(SpecError) as error:
        JointTraining(members, HARD)
    assert "models.a.trunk.0.weight" in str(error.value) and "models.b.trunk.0.weight" in str(error.value)
    assert "[8, 6]" in str(error.value) and "[4, 6]" in str(error.value)
    assert networks[0].trunk[0].weight is not networks[1].trunk[0].weight
    assert [dict(task.named_children())["network"] for task in members.values()] == networks
    assert JointTraining(members, {"share": ["models.{m}.head.bias = b"]}).plan is not None


def test_data_of_other_members(tmp_path: Path) -> None:
    data = JointData({"a": Rows(3, 1), "c": Rows(5, 2)})
    with pytest.raises(ConfigError, match="The data are of a, c, and the members of the model are a, b"):
        run(tmp_path, make_joint(), data)


@pytest.mark.parametrize(
    ("batch", "said"),
    [
        ({"input": torch.zeros(2)}, "A batch has `input`, which are no members"),
        ([torch.zeros(2)], "gives an object of type list"),
        ({"a": {"label": torch.zeros(2)}}, "Classification reads `input`"),
    ],
)
def test_batches_that_are_of_nobody(batch: Any, said: str, tmp_path: Path) -> None:
    trainer = Trainer(**QUIET, max_steps=1, limit_val_batches=0, default_root_dir=tmp_path)
    with pytest.raises(ConfigError, match=said):
        trainer.fit(make_joint(), DataLoader([batch], batch_size=None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"members": {}}, "JointData has no members"),
        ({"members": {"a": 3}}, "`a` are a LightningDataModule, not an object of type int"),
        ({"members": {"a b": Rows(3, 1)}}, "'a b' cannot be the name"),
        ({"steps": 0}, "data.steps is 0"),
        ({"seed": -1}, "data.seed is -1"),
        (
            {"sampling": {"policy": "weights", "weights": {"a": 1.0}}},
            "weights are given for a, and the members are a, b",
        ),
        (
            {"sampling": {"policy": "weights", "weights": {"a": 1.0, "b": 1.0, "c": 1.0}}},
            "weights are given for a, b, c, and the members are a, b",
        ),
    ],
)
def test_data(options: Any, said: str) -> None:
    given = {"members": make_data(), **options}
    if "sampling" in given:
        given["sampling"] = Sampling(**given["sampling"])
    with pytest.raises(ConfigError, match=said):
        JointData(**given)


def test_one_datamodule_for_two_members() -> None:
    data = Rows(3, 1)
    with pytest.raises(ConfigError, match="`a` and `b` are one object"):
        JointData({"a": data, "b": data})


def test_two_members_of_one_name_in_a_config(tmp_path: Path) -> None:
    part = "{class_path: lightning_tying.tasks.Classification, init_args: {network: {class_path: torch.nn.Identity}}}"
    config = tmp_path / "run.yaml"
    config.write_text(
        "model:\n  class_path: lightning_tying.tasks.JointTraining\n  init_args:\n    members:\n"
        f"      a: {part}\n      b: &b {part}\n      a: *b\n"
    )
    with pytest.raises(ConfigError, match=r"run.yaml:7: `a` stands here a second time; the first is in line 5"):
        build(config)


def test_keys_may_stand_once_in_each_mapping_and_be_merged() -> None:
    check_keys("a: &x {k: 1}\nb: {<<: *x, k: 2}\nc: [{k: 1}, {k: 2}, *x]\n", "config")
    check_keys("", "config")
