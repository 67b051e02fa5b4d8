"""One member of a joint training as a checkpoint of its own: it loads where the plain task's own would."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, Trainer

from lightning_tying.commands.checkpoints.export import export
from lightning_tying.data import Digits, JointData
from lightning_tying.errors import ConfigError
from lightning_tying.tasks import Classification, JointTraining
from lightning_tying.tasks.build import build
from tests.unit.tasks.joint.joint_runs import HARD, QUIET, Rows, TrunkAndHead, make_data, make_joint, run

X = torch.randn(4, 6, dtype=torch.float64)
DERIVED = {"share": ["models.a.trunk.{i}.weight = W[i]", "models.b.trunk.{i}.weight = W[i] + low_rank(2)"]}


@pytest.mark.parametrize("spec", [HARD, DERIVED], ids=["aliases", "derived"])
def test_it_is_the_checkpoint_of_the_plain_task(spec: object, tmp_path: Path) -> None:
    joint = make_joint(spec)
    run(tmp_path, joint, JointData(make_data()))
    before = {name: value.clone() for name, value in joint.state_dict().items()}
    joint.export_member("b", tmp_path / "b.ckpt")
    plain = Classification(TrunkAndHead(5))
    content = torch.load(tmp_path / "b.ckpt", weights_only=True)
    assert content["state_dict"].keys() == plain.state_dict().keys()
    loaded = Classification.load_from_checkpoint(tmp_path / "b.ckpt", network=TrunkAndHead(5))
    torch.testing.assert_close(loaded(X), joint("b", X), rtol=0, atol=1e-12)
    assert loaded.classes == joint.task("b").classes
    assert all(torch.equal(value, before[name]) for name, value in joint.state_dict().items())


def test_it_starts_another_training_and_is_tested_alone(tmp_path: Path) -> None:
    joint = make_joint()
    trainer = run(tmp_path, joint, JointData(make_data()))
    joint.export_member("a", tmp_path / "a.ckpt")
    again = Classification(TrunkAndHead(3), init_from=tmp_path / "a.ckpt")
    assert torch.equal(again(X), joint("a", X))
    together = trainer.test(joint, JointData(make_data()), verbose=False)[0]
    alone = Trainer(**QUIET, default_root_dir=tmp_path).test(
        Classification(TrunkAndHead(3)), Rows(3, 1), ckpt_path=tmp_path / "a.ckpt", weights_only=True, verbose=False
    )[0]
    assert alone["test/loss"] == pytest.approx(together["test/a/loss"])


def test_a_member_that_is_no_task_keeps_its_own_keys(tmp_path: Path) -> None:
    class Bare(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = TrunkAndHead(3).trunk

    joint = JointTraining({"bare": Bare(), "a": Classification(TrunkAndHead(3))}, HARD)
    joint.export_member("bare", tmp_path / "bare.ckpt")
    Bare().load_state_dict(torch.load(tmp_path / "bare.ckpt", weights_only=True)["state_dict"])


def test_refused_exports_write_nothing(tmp_path: Path) -> None:
    joint = make_joint()
    with pytest.raises(ConfigError, match=r"no member `c`.*Members: a, b"):
        joint.export_member("c", tmp_path / "c.ckpt")
    (tmp_path / "here.ckpt").write_text("kept")
    with pytest.raises(ConfigError, match="is there already"):
        joint.export_member("a", tmp_path / "here.ckpt")
    late = JointTraining({"a": Classification(lambda: TrunkAndHead(3))})
    with pytest.raises(ConfigError, match="`a` is not built yet"):
        late.export_member("a", tmp_path / "late.ckpt")
    assert [each.name for each in tmp_path.iterdir()] == ["here.ckpt"]
    assert (tmp_path / "here.ckpt").read_text() == "kept"


CONFIG = """
class_path: lightning_tying.tasks.JointTraining
init_args:
  members:
    scans: &member
      class_path: lightning_tying.tasks.Classification
      init_args:
        network:
          class_path: lightning_tying.models.ConvNet
          init_args: {channels: 1, classes: 10, width: 4, stages: 2, blocks: 1}
        label_smoothing: 0.1
    others: *member
  sharing: {share: ["models.{m}.stages.{name*} = trunk[name]"]}
  weights: {scans: 2.0}
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint and the config of a run with two members."""
    folder = tmp_path_factory.mktemp("joint")
    (folder / "config.yaml").write_text(f"model: {yaml.safe_load(CONFIG)}\n", encoding="utf-8")
    joint = build(folder / "config.yaml")
    trainer = Trainer(**QUIET, max_steps=1, limit_val_batches=0, default_root_dir=folder)
    trainer.fit(joint, JointData({name: Digits(8) for name in ("scans", "others")}))
    trainer.save_checkpoint(folder / "joint.ckpt")
    joint.export_member("others", folder / "expected.ckpt")
    return folder


IMAGES = torch.rand(2, 1, 8, 8)


def test_a_member_of_a_run_config_needs_nothing_to_be_loaded(run_folder: Path, tmp_path: Path) -> None:
    """Neither from the model that was built nor from one that was loaded from the joint checkpoint."""
    again = JointTraining.load_from_checkpoint(run_folder / "joint.ckpt")
    again.export_member("others", tmp_path / "again.ckpt")
    for file in (run_folder / "expected.ckpt", tmp_path / "again.ckpt"):
        alone = Classification.load_from_checkpoint(file).eval()
        assert alone.label_smoothing == 0.1
        assert torch.equal(alone(IMAGES), again.eval()("others", IMAGES))


def test_the_command_exports_a_member(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "others.ckpt"
    assert export([str(run_folder / "joint.ckpt"), "--member", "others", "--output", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"written: {out} (")
    found, expected = (torch.load(file, weights_only=True) for file in (out, run_folder / "expected.ckpt"))
    assert found["classes"] == expected["classes"] and found["state_dict"].keys() == expected["state_dict"].keys()
    assert all(torch.equal(value, expected["state_dict"][name]) for name, value in found["state_dict"].items())
    assert Classification.load_from_checkpoint(out).label_smoothing == 0.1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--member", "other"], "no member `other`.*Did you mean `others`"),
        (["--member", "others", "--format", "onnx"], "one of --format .* and --member"),
        ([], "one of --format .* and --member"),
    ],
)
def test_the_command_refuses(words: list[str], said: str, run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        export([str(run_folder / "joint.ckpt"), *words, "--output", str(tmp_path / "x.ckpt")])
    assert not list(tmp_path.iterdir())
