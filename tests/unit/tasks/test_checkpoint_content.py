"""What a checkpoint says of its sharing, and what it refuses to be loaded into."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from lightning_tying.errors import ConfigError, ConflictError
from lightning_tying.spec.dumper import dump_spec
from lightning_tying.tasks import TiedModule

SPEC = {"share": [{"tie": ["first.weight", "last.weight"], "name": "W"}]}
OTHER = {"share": [{"tie": ["first.weight", "last.weight"], "name": "W"}, {"tie": ["first.bias", "last.bias"]}]}


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 4)


class Net(TiedModule, LightningModule):
    def __init__(self, sharing: Any = SPEC, **options: Any) -> None:
        super().__init__()
        self.network = Layers()
        self.tie_network(sharing, **options)


class Plain(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = Layers()


def save(module: LightningModule, path: Path) -> Path:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(path)
    return path


def test_spec_version_hash_and_groups_are_inside(tmp_path: Path) -> None:
    net = Net()
    content = torch.load(save(net, tmp_path / "x.ckpt"), weights_only=True)
    saved = content["sharing"]
    assert net.tied_spec is not None and saved["spec"] == dump_spec(net.tied_spec)
    assert saved["version"] == 1 and saved["hash"] == hashlib.sha256(saved["spec"].encode()).hexdigest()
    assert saved["groups"] == {"network.first.weight": ["network.last.weight"]}
    weights = content["state_dict"]
    assert weights["network.first.weight"].data_ptr() == weights["network.last.weight"].data_ptr()


def test_a_compiled_networks_groups_are_keys_of_its_file(tmp_path: Path) -> None:
    net = Net()
    net.network = torch.compile(net.network, backend="eager")  # type: ignore[assignment]
    content = torch.load(save(net, tmp_path / "x.ckpt"), weights_only=True)
    ((owner, others),) = content["sharing"]["groups"].items()
    assert {owner, *others} <= content["state_dict"].keys()


@pytest.mark.parametrize(("given", "line"), [(OTHER, '+  - tie: ["first.bias", "last.bias"]'), (None, "(none)")])
def test_another_spec_is_one_error_with_the_difference(tmp_path: Path, given: Any, line: str) -> None:
    path = save(Net(), tmp_path / "x.ckpt")
    before = path.read_bytes()
    net = Checked(given)
    weights = {key: value.clone() for key, value in net.state_dict().items()}
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(ConfigError) as error:
        trainer.validate(net, [0], ckpt_path=path)
    text = str(error.value)
    assert "another sharing spec" in text and line in text and "--init_from" in text
    assert path.read_bytes() == before
    assert all(torch.equal(value, weights[key]) for key, value in net.state_dict().items())


class Checked(Net):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        raise AssertionError("nothing may run")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "of version 2, and this release reads version 1"),
        ({"hash": "0" * 64}, "damaged"),
        ({"spec": 7}, "damaged"),
        ({"groups": 7}, "damaged"),
    ],
)
def test_a_newer_or_damaged_entry_is_refused(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    net = Net()
    content = torch.load(save(net, tmp_path / "x.ckpt"), weights_only=True)
    content["sharing"] |= change
    with pytest.raises(ConfigError, match=text):
        net.on_load_checkpoint(content)


def test_an_entry_without_version_and_hash_is_read(tmp_path: Path) -> None:
    net = Net()
    content = torch.load(save(net, tmp_path / "x.ckpt"), weights_only=True)
    del content["sharing"]["version"], content["sharing"]["hash"]
    net.on_load_checkpoint(content)


def test_a_plain_modules_checkpoint_follows_the_policy(tmp_path: Path) -> None:
    path = save(Plain(), tmp_path / "plain.ckpt")
    saved = torch.load(path, weights_only=True)["state_dict"]
    with pytest.raises(ConflictError, match=r"`W` is one parameter, and last\.weight"):
        Net.load_from_checkpoint(path, weights_only=True)
    owner = Net.load_from_checkpoint(path, weights_only=True, on_conflict="owner")
    assert torch.equal(owner.network.last.weight, saved["network.first.weight"])
    untied = Net.load_from_checkpoint(path, weights_only=True, on_conflict="untie")
    assert torch.equal(untied.network.last.weight, saved["network.last.weight"]) and untied.plan is None


def test_a_file_without_aliases_loads(tmp_path: Path) -> None:
    path = save(Net(), tmp_path / "x.ckpt")
    content = torch.load(path, weights_only=True)
    value = content["state_dict"].pop("network.first.weight")
    torch.save(content, path)
    again = Net.load_from_checkpoint(path, weights_only=True)
    assert torch.equal(again.network.first.weight, value) and again.network.first.weight is again.network.last.weight


def test_a_sharded_folder_is_refused_where_one_process_runs(tmp_path: Path) -> None:
    folder = tmp_path / "sharded.ckpt"
    folder.mkdir()
    (folder / "meta.pt").write_bytes(b"")
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    with pytest.raises(ConfigError, match="lightning-tying checkpoint consolidate"):
        trainer.validate(Checked(), [0], ckpt_path=folder)
