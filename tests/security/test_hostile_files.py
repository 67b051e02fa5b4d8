"""Files of a stranger: none of them runs anything; each is refused in words."""

from __future__ import annotations

import copy
import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from lightning_tying import build, tie
from lightning_tying.algebra.imports import imported_only
from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.tasks import LanguageModeling
from lightning_tying.tasks.build import read_config
from lightning_tying.tasks.load_weights import load_weights

NETWORK = {
    "class_path": "lightning_tying.models.DecoderLM",
    "init_args": {"vocab_size": 30, "dim": 8, "depth": 2, "heads": 2},
}
CONFIG = {
    "class_path": "lightning_tying.tasks.LanguageModeling",
    "init_args": {"network": NETWORK, "sharing": {"share": [{"tie": ["embed.weight", "head.weight"]}]}},
}
EVIL = 'from pathlib import Path\nPath(__file__).with_name("pwned").touch()\n'


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that can be imported; the file that shows that it was."""
    (tmp_path / "evil_module.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "pwned"


@pytest.fixture(scope="module")
def checkpoint() -> dict[str, Any]:
    module = build(copy.deepcopy(CONFIG))
    Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False).strategy.connect(
        module
    )
    module.configure_model()
    return {
        "pytorch-lightning_version": "2.6.6", "epoch": 0, "global_step": 0, "state_dict": module.state_dict(),
        "hyper_parameters": dict(module.hparams),
    }  # fmt: skip


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


TAGS = [
    "!!python/object/apply:os.mkdir [{mark}]",
    "!!python/object/new:os.mkdir [{mark}]",
    "{{a: !!python/name:os.mkdir }}",
    "!!python/module:evil_module",
]


@pytest.mark.parametrize("tag", TAGS)
def test_tags_in_a_config_and_in_a_spec_make_nothing(tag: str, evil: Path) -> None:
    text = tag.format(mark=evil)
    with pytest.raises(ConfigError, match="not YAML"):
        read_config(f"model: {text}\n")
    with pytest.raises(SpecError, match="tags, anchors and aliases are not read"):
        tie(nn.Linear(2, 2), f"share: {text}\n")
    assert not evil.exists() and "evil_module" not in sys.modules


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    with pytest.raises(ConfigError, match="more than 1,000,000 values"):
        read_config("\n".join([*lines, "model: {}"]))
    with pytest.raises(ConfigError, match="An alias stands inside of what it names"):
        read_config("a: &a {b: [*a]}\n")
    with pytest.raises(ConfigError, match="too deep"):
        read_config(f"a: {'[' * 5000}{']' * 5000}\n")
    assert read_config("a: &a {b: 1}\nc: [*a, *a]\n")["c"] == [{"b": 1}, {"b": 1}]


def change(checkpoint: dict[str, Any], **hparams: Any) -> dict[str, Any]:
    changed = copy.deepcopy(checkpoint)
    changed["hyper_parameters"].update(hparams)
    return changed


HOSTILE: dict[str, dict[str, Any]] = {
    "transform": {"sharing": {"share": ["embed.weight = evil_module.Run(W)"]}},
    "network class": {"network": {**NETWORK, "class_path": "evil_module.Net"}},
    "network function": {"network": "evil_module.make"},
    "nested class": {"network": {**NETWORK, "init_args": {"inner": {"class_path": "evil_module.Net"}}}},
    "optimizer": {"optimizer": "evil_module.run"},
    "schedule": {"lr_scheduler": {"class_path": "evil_module.Run"}},
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_checkpoint_imports_no_module(name: str, checkpoint: dict[str, Any], evil: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(change(checkpoint, **HOSTILE[name]), path)
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises((ConfigError, SpecError), match="`evil_module` is not imported"):
            LanguageModeling.load_from_checkpoint(source)
    assert not evil.exists() and "evil_module" not in sys.modules


@pytest.mark.parametrize("function", ["os.getpid", "os.abort", "gc.collect", "builtins.dict"])
def test_a_checkpoint_calls_no_function_of_the_standard_library(
    function: str, checkpoint: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(change(checkpoint, network=function), path)
    with pytest.raises(ConfigError, match=r"makes no network, optimizer or schedule|is not imported"):
        LanguageModeling.load_from_checkpoint(path)


def test_an_honest_checkpoint_loads(checkpoint: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(checkpoint, path)
    for source in (path, io.BytesIO(path.read_bytes())):
        loaded = LanguageModeling.load_from_checkpoint(source)
        assert loaded.network.head.weight is loaded.network.embed.weight


@pytest.mark.parametrize("place", ["hyper_parameters", "callbacks", "state_dict"])
def test_pickled_code_is_not_run(place: str, checkpoint: dict[str, Any], tmp_path: Path) -> None:
    path, mark = tmp_path / "model.ckpt", tmp_path / "pwned"
    torch.save({**checkpoint, place: {"x": Bomb(mark)}}, path)
    with pytest.raises(pickle.UnpicklingError):
        LanguageModeling.load_from_checkpoint(path)
    with pytest.raises(ConfigError, match="cannot be read as a checkpoint or a state dict of plain values"):
        load_weights(nn.Linear(2, 2), path)
    assert not mark.exists()


def test_a_users_own_spec_may_import(evil: Path) -> None:
    """The other way round: what the user writes leads where it says, and only a checkpoint is held back."""
    spec = {"share": ["weight = evil_module.Run(W)"]}
    with imported_only(), pytest.raises(SpecError, match="a checkpoint may not import modules"):
        tie(nn.Linear(2, 2), spec)
    assert not evil.exists()
    with pytest.raises(SpecError, match="`evil_module` has no `Run`"):
        tie(nn.Linear(2, 2), spec)
    assert evil.exists()
    sys.modules.pop("evil_module", None)


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "/dev/zero", "map.npz", "map.pkl"])
def test_a_spec_reads_maps_and_nothing_else(path: str) -> None:
    with pytest.raises(SpecError) as caught:
        tie(nn.Embedding(4, 2), {"share": [f"weight = rows(T, '{path}')"]})
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize("value", ["9**9**9**9", "2**100000000", "__import__('os').mkdir('pwned')", "(1).__class__"])
def test_a_value_of_a_spec_is_no_python(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError):
        tie(nn.Linear(2, 2), {"let": {"K": 2}, "share": [f"weight = low_rank({value})"]})
    assert list(tmp_path.iterdir()) == []
