"""The run configs of several models: each runs, small, and its members share what the comment says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_tying.commands.tying_cli import TyingCLI
from lightning_tying.tasks import JointTraining
from tests.slow import slow

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
SMALL_TEXT = {"vocabulary_size": 400, "length": 16, "batch_size": 4}


def make_small(name: str) -> dict[str, Any]:
    """The config with little networks."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    small = {"joint_digits": {"width": 4}, "joint_languages": {"vocab_size": 400, "dim": 16, "depth": 2, "heads": 2}}
    for member in config["model"]["init_args"]["members"].values():
        member["init_args"]["network"]["init_args"] |= small[name]
    if name == "joint_languages":
        for data in config["data"]["init_args"]["members"].values():
            data["init_args"] |= SMALL_TEXT
    return config


@pytest.mark.filterwarnings("ignore:LightningCLI's args parameter:UserWarning")  # pytest has arguments of its own
@pytest.mark.parametrize("name", ["joint_languages", pytest.param("joint_digits", marks=slow)])
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(make_small(name)), encoding="utf-8")
    words = [f"--config={file}", "--trainer.fast_dev_run=true", "--trainer.accelerator=cpu"]
    words += ["--trainer.enable_progress_bar=false", f"--trainer.default_root_dir={tmp_path}"]
    cli = TyingCLI(args=words, run=False, save_config_callback=None)
    assert isinstance(cli.model, JointTraining)
    cli.trainer.fit(cli.model, cli.datamodule)
    assert cli.model.plan is not None
    first, second = cli.model.models
    shared = [
        group
        for group in cli.model.plan.graph.groups
        if {use.site.split(".")[1] for use in group.uses} == {first, second}
    ]
    own = {site for group in cli.model.plan.graph.groups if group not in shared for site in group.places}
    assert shared and all("embed" in site or "head" in site for site in own)
    cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    assert any(key.startswith(f"test/{cli.model.monitor.split('/')[1]}/") for key in cli.trainer.callback_metrics)
