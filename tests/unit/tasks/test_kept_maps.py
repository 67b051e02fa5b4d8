"""Map files go along with checkpoints: they are not needed again, and another file is refused."""

from __future__ import annotations

import hashlib
import json
import warnings

import lightning.pytorch as pl
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lightning_tying.algebra.maps.map_files import read_map
from lightning_tying.errors import ApplyError, ConfigError, SharingWarning, SpecError
from lightning_tying.graph.map_files_of_graph import find_maps
from lightning_tying.tasks.kept_maps import check_maps, read_maps, write_maps
from lightning_tying.tasks.sharing_source import read_sharing
from lightning_tying.tasks.tied_module import TiedModule

SPEC = {"version": 1, "share": ["embed.{lang}.weight = rows(T, 'maps/{lang}.json')"]}
ROWS = {"de": [0, 1, 2, 0], "en": [2, 1, 1, 0, 3]}


class Embeddings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.ModuleDict({lang: nn.Embedding(len(rows), 4) for lang, rows in ROWS.items()})


class Module(TiedModule, pl.LightningModule):
    def __init__(self, sharing=None, width: int = 4) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = Embeddings()
        self.tie_network(sharing)


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SharingWarning)
        yield


@pytest.fixture
def maps(tmp_path, monkeypatch):
    folder = tmp_path / "maps"
    folder.mkdir()
    for lang, rows in ROWS.items():
        (folder / f"{lang}.json").write_text(json.dumps(rows))
    monkeypatch.chdir(tmp_path)
    return folder


def save(module, path):
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", default_root_dir=path.parent)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(path)
    return path


def test_content_goes_and_comes(maps):
    plan = Module(SPEC).plan
    found = find_maps(plan.graph)
    assert set(found) == {"maps/de.json", "maps/en.json"}
    assert found["maps/de.json"].sha256 == hashlib.sha256((maps / "de.json").read_bytes()).hexdigest()
    assert read_maps(json.loads(json.dumps(write_maps(found)))) == found


@pytest.mark.parametrize(
    "damaged", [[], {"a": 1}, {"a": {"sha256": "x"}}, {"a": {"sha256": "", "shape": [1], "count": 1, "content": "!"}}]
)
def test_damaged_content_is_refused(damaged):
    with pytest.raises(ConfigError, match="maps that the checkpoint carries"):
        read_maps(damaged)


def test_a_checkpoint_needs_no_file(maps, tmp_path):
    module = Module(SPEC)
    path = save(module, tmp_path / "one.ckpt")
    for file in maps.iterdir():
        file.unlink()
    with pytest.raises(SpecError, match="does not exist"):
        Module(SPEC)
    again = Module.load_from_checkpoint(path)
    assert torch.equal(again.network.embed["en"].weight, module.network.embed["en"].weight)
    assert again.plan.graph == module.plan.graph
    third = Module.load_from_checkpoint(save(again, tmp_path / "two.ckpt"))
    assert torch.equal(third.network.embed["de"].weight, module.network.embed["de"].weight)


def test_another_file_is_refused(maps, tmp_path):
    path = save(Module(SPEC), tmp_path / "one.ckpt")
    (maps / "de.json").write_text(json.dumps(ROWS["de"][::-1]))
    module = Module(SPEC)
    checkpoint = torch.load(path, weights_only=True)
    with pytest.raises(ConfigError, match=r"maps/de\.json is not the file this checkpoint was made with \(SHA-256"):
        module.on_load_checkpoint(checkpoint)
    (maps / "de.json").write_text(json.dumps(ROWS["de"]))
    Module(SPEC).on_load_checkpoint(checkpoint)


def test_a_map_whose_file_is_gone_is_told_too(maps):
    one, other = (read_map(f"maps/{lang}.json") for lang in ROWS)
    with pytest.raises(ConfigError, match="not the map"):
        check_maps({"gone.json": one}, {"gone.json": other}, None)
    check_maps({"gone.json": one}, {"else.json": other}, None)


def test_paths_are_relative_to_where_the_sharing_was_read(maps, tmp_path, monkeypatch):
    file = tmp_path / "spec.yaml"
    file.write_text(json.dumps(SPEC))
    sources = [read_sharing(each) for each in (SPEC, json.dumps(SPEC, indent=1), file, "spec.yaml")]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert all(len(find_maps(Module(source).plan.graph)) == 2 for source in sources)


WHITENED = "svd_joint(whiten='inputs.safetensors')"
CALIBRATED = {"share": [{"sites": "embed.{l}.weight", "equals": "basis(T[l], 2)", "init": WHITENED}]}


def test_a_checkpoint_needs_no_calibration_file(maps, tmp_path, recwarn):
    file = tmp_path / "inputs.safetensors"
    save_file({f"embed.{lang}.weight": torch.eye(4).mul(2) for lang in ROWS}, file)
    module = Module(CALIBRATED)
    path = save(module, tmp_path / "one.ckpt")
    file.unlink()
    with pytest.raises(ApplyError, match=r"inputs\.safetensors does not exist"):
        Module(CALIBRATED)
    warnings.simplefilter("always", SharingWarning)
    again = Module.load_from_checkpoint(path)
    assert any("did without it" in str(warning.message) for warning in recwarn)
    assert torch.equal(again.network.embed["en"].weight, module.network.embed["en"].weight)
    assert Module.load_from_checkpoint(save(again, tmp_path / "two.ckpt")).plan == module.plan
