"""JointTraining: it trains what one model with summed losses is, in every form of sharing between members."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from lightning_tying.data import JointData
from lightning_tying.models import ConvNet, DecoderLM
from lightning_tying.models.recurrent_classifier import RecurrentClassifier
from lightning_tying.tasks import Classification, JointTraining, LanguageModeling
from lightning_tying.tasks.optimizers.optimization import default_optimizer
from lightning_tying.vocab import Sampling
from tests.unit.tasks.joint.joint_runs import HARD, QUIET, Rows, TrunkAndHead, make_data, make_joint, run, sgd


def test_hard_sharing_is_one_model_with_summed_losses(tmp_path: Path) -> None:
    joint = make_joint()
    one = copy.deepcopy(joint.models["a"])
    head = copy.deepcopy(joint.models["b"].head)
    optimizer = sgd([*one.parameters(), *head.parameters()])
    run(tmp_path, joint, JointData(make_data()), max_steps=20, max_epochs=-1)
    loader = iter_steps(20)
    for batches in loader:
        features = (one.trunk(batches[name]["input"]) for name in "ab")
        logits = [layer(x) for layer, x in zip((one.head, head), features, strict=True)]
        loss = sum(functional.cross_entropy(y, batches[n]["label"]) for y, n in zip(logits, "ab", strict=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, parameter in one.named_parameters():
        torch.testing.assert_close(joint.models["a"].get_parameter(name), parameter, rtol=0, atol=1e-10)
    torch.testing.assert_close(joint.models["b"].head.weight, head.weight, rtol=0, atol=1e-10)
    assert joint.models["b"].trunk[0].weight is joint.models["a"].trunk[0].weight


def iter_steps(count: int) -> Any:
    """The batches that a run has seen, from loaders of their own: endless epochs of each member."""
    streams = {name: endless(data.train_dataloader()) for name, data in make_data().items()}
    return [{name: next(stream) for name, stream in streams.items()} for _ in range(count)]


def endless(loader: Any) -> Any:
    while True:
        yield from loader


def test_trunks_are_shared_and_heads_are_not() -> None:
    joint = make_joint()
    assert [group.name.family for group in joint.plan.graph.groups] == ["trunk"] * 4
    assert joint.models["a"].head.weight is not joint.models["b"].head.weight
    apart = sum(each.numel() for each in make_joint(None).parameters())
    trunk = sum(each.numel() for each in joint.models["a"].trunk.parameters())
    assert sum(each.numel() for each in joint.parameters()) == apart - trunk


def test_two_towers_are_one_network(tmp_path: Path) -> None:
    towers: dict[str, LightningModule] = {
        "left": Classification(TrunkAndHead(3)),
        "right": Classification(TrunkAndHead(3)),
    }
    joint = JointTraining(towers, {"share": ["models.{m}.{name*} = tower[name]"]}, optimizer=sgd)
    run(tmp_path, joint, JointData({"left": Rows(3, 1), "right": Rows(3, 2)}))
    x = torch.randn(4, 6, dtype=torch.float64)
    assert torch.equal(joint("left", x), joint("right", x))
    assert len(list(joint.parameters())) == len(list(TrunkAndHead(3).parameters()))


def images_and_series(head: Any) -> JointTraining:
    members: dict[str, LightningModule] = {
        "images": Classification(ConvNet(1, 10, 4, 2, 1)),
        "series": Classification(RecurrentClassifier(8, 10, 4 if head is None else 8, 1, bidirectional=head is None)),
    }
    return JointTraining(members, {"share": head or ["models.{m}.head.{name*} = head[name]"]})


def test_a_cnn_and_a_recurrent_network_share_their_classifier() -> None:
    joint = images_and_series(None)
    assert joint.models["images"].head.weight is joint.models["series"].head.weight
    assert joint.models["images"].head.bias is joint.models["series"].head.bias
    (joint("images", torch.rand(2, 1, 8, 8)).sum() + joint("series", torch.rand(2, 5, 8)).sum()).backward()
    assert joint.models["images"].head.bias.grad.tolist() == [4.0] * 10  # two rows of each


def test_shapes_meet_through_a_projection() -> None:
    network = {"images": ConvNet(1, 10, 4, 2, 1), "series": RecurrentClassifier(8, 10, 6, 1, bidirectional=False)}
    members: dict[str, LightningModule] = {name: Classification(each) for name, each in network.items()}
    joint = JointTraining(
        members,
        {"share": ["models.images.head.weight = head", "models.series.head.weight = head @ P"]},
    )
    assert joint.models["images"].head.weight.shape == (10, 8)
    assert joint.models["series"].head.weight.shape == (10, 6)
    joint("series", torch.rand(2, 5, 8)).sum().backward()
    assert joint.models["images"].head.weight.grad is not None


def test_languages_have_embeddings_of_their_own_on_a_shared_stack() -> None:
    members: dict[str, LightningModule] = {
        name: LanguageModeling(DecoderLM(size, 16, 2, 2)) for name, size in (("de", 40), ("en", 30))
    }
    stack = [
        "models.{m}.layers.{name*} = stack[name]",
        "models.{m}.embed.weight = table[m]",
        "models.{m}.head.weight = table[m]",
    ]
    joint = JointTraining(members, {"share": stack})
    assert joint.models["de"].layers[1].mlp.up.weight is joint.models["en"].layers[1].mlp.up.weight
    assert joint.models["de"].embed.weight is joint.models["de"].head.weight
    assert joint.models["de"].embed.weight is not joint.models["en"].embed.weight
    assert joint("en", torch.zeros(1, 3, dtype=torch.long)).shape == (1, 3, 30)


def test_each_member_has_its_metrics_and_its_classes(tmp_path: Path) -> None:
    joint, data = make_joint(), JointData(make_data())
    trainer = run(tmp_path, joint, data, limit_val_batches=1.0)
    logged = {"train/loss", *(f"{key}/{name}/loss" for key in ("train", "val") for name in "ab"), "val/a/accuracy"}
    assert logged <= set(trainer.callback_metrics)
    alone = Classification(joint.models["b"])
    found = Trainer(**QUIET, default_root_dir=tmp_path).validate(alone, make_data()["b"], verbose=False)[0]
    assert float(trainer.callback_metrics["val/b/loss"]) == pytest.approx(found["val/loss"])
    assert float(trainer.callback_metrics["val/b/accuracy"]) == pytest.approx(found["val/accuracy"])
    assert joint.task("b").classes == tuple(f"class {place}" for place in range(5))
    assert joint.monitor == "val/a/accuracy" and joint.monitor_mode == "max"
    predicted = trainer.predict(joint, data)
    assert predicted is not None and len(predicted) == 2
    assert set(predicted[1][0]) <= set(joint.task("b").classes)


def test_the_training_loss_is_the_sum_of_the_members(tmp_path: Path) -> None:
    trainer = run(tmp_path, make_joint(weights={"b": 3.0}), JointData(make_data()), max_steps=1, log_every_n_steps=1)
    values = trainer.callback_metrics
    both = float(values["train/a/loss"]) + 3 * float(values["train/b/loss"])
    assert float(values["train/loss"]) == pytest.approx(both, rel=1e-6)


def test_networks_that_are_made_late_are_tied_before_the_optimizer(tmp_path: Path) -> None:
    members: dict[str, LightningModule] = {
        "a": Classification(lambda: TrunkAndHead(3)),
        "b": Classification(TrunkAndHead(5)),
    }
    joint = JointTraining(members, HARD, optimizer=sgd)
    assert joint.plan is None
    run(tmp_path, joint, JointData(make_data()), max_steps=2)
    assert joint.models["a"].trunk[0].weight is joint.models["b"].trunk[0].weight


class Plain(LightningModule):
    """Knows nothing of this package."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = TrunkAndHead(3).trunk
        self.head = nn.Linear(8, 1, dtype=torch.float64)
        self.epochs = 0

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        loss = functional.mse_loss(self.head(self.trunk(batch[0])), batch[1])
        self.log("mse", loss, on_step=False, on_epoch=True)
        return {"loss": loss}

    def on_train_epoch_end(self) -> None:
        self.epochs += 1


def test_any_lightning_module_is_a_member_and_any_combined_loader_is_data(tmp_path: Path) -> None:
    joint = JointTraining({"plain": Plain(), "a": Classification(TrunkAndHead(3))}, HARD, optimizer=sgd)
    pairs = [(torch.randn(6, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)) for _ in range(12)]
    loaders = {"plain": DataLoader(pairs, batch_size=4), "a": Rows(3, 1).train_dataloader()}
    trainer = Trainer(**QUIET, max_epochs=2, default_root_dir=tmp_path)
    trainer.fit(joint, CombinedLoader(loaders, "max_size"))
    assert joint.models["plain"].epochs == 2
    assert {"plain/mse", "train/a/loss"} <= set(trainer.callback_metrics)
    assert joint.models["plain"].trunk[0].weight is joint.models["a"].trunk[0].weight


def test_copies_and_pickles_are_whole() -> None:
    joint = make_joint()
    for again in (copy.deepcopy(joint), pickle.loads(pickle.dumps(make_joint(optimizer=sgd)))):
        assert again.task("a").network is again.models["a"]
        assert again.task("a").log.args[0] is again
        assert again.models["a"].trunk[0].weight is again.models["b"].trunk[0].weight


def test_a_checkpoint_is_loaded_with_the_same_members(tmp_path: Path) -> None:
    joint = make_joint()
    trainer = run(tmp_path, joint, JointData(make_data()))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    members = {"a": Classification(TrunkAndHead(3)), "b": Classification(TrunkAndHead(5))}
    again = JointTraining.load_from_checkpoint(tmp_path / "x.ckpt", members=members)
    assert again.models["a"].trunk[0].weight is again.models["b"].trunk[0].weight
    assert torch.equal(again.models["b"].head.weight, joint.models["b"].head.weight)
    assert again.task("b").classes == joint.task("b").classes


@pytest.mark.parametrize("drawn", [False, True], ids=["together", "drawn"])
def test_a_resumed_run_ends_with_the_same_weights(drawn: bool, tmp_path: Path) -> None:
    def train(folder: str, checkpoint: Path | None = None) -> JointTraining:
        torch.manual_seed(3)
        joint = make_joint(weights="uncertainty", optimizer=default_optimizer)
        data = JointData(make_data(), Sampling(policy="uniform") if drawn else None, steps=4)
        keep = ModelCheckpoint(dirpath=tmp_path / folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")
        run(tmp_path, joint, data, keep, ckpt_path=checkpoint, enable_checkpointing=True)
        return joint

    whole, rest = train("whole"), train("rest", tmp_path / "whole" / "step=3.ckpt")
    assert all(torch.equal(value, rest.state_dict()[name]) for name, value in whole.state_dict().items())
