"""Each use has a tied and an untied run config that differ in nothing but the spec, and both of them run."""

from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.uses import CONFIGS, USES
from lightning_tying.commands.tying_cli import TyingCLI

SMALL_TEXT = [
    "--data.vocabulary_size=400",
    "--data.length=16",
    "--data.batch_size=4",
    "--model.network.init_args.dim=16",
    "--model.network.init_args.heads=2",
]
TINY = {
    "language_identification": [*SMALL_TEXT, "--data.languages=[en,de]"],
    "docstrings": [*SMALL_TEXT, "--data.packages=[joblib]", "--data.words=4"],
    "mnist": ["--model.network.init_args.width=4", "--model.network.init_args.blocks=2"],
    "japanese_vowels": ["--model.network.init_args.dim=4"],
}
NAMES = [use.name for use in USES]


def read(name: str) -> dict[str, dict[str, dict[str, object]]]:
    return yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))


def test_every_untied_config_belongs_to_a_use() -> None:
    assert {file.stem for file in (CONFIGS / "untied").glob("*.yaml")} == set(NAMES) == TINY.keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_pair_differs_in_the_spec_alone(name: str) -> None:
    tied, untied = read(name), read(f"untied/{name}")
    assert tied["model"]["init_args"].pop("sharing")
    assert tied["trainer"].pop("default_root_dir") == f"runs/{name}"
    assert untied["trainer"].pop("default_root_dir") == f"runs/{name}_untied"
    assert tied == untied


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The trainable parameters of each config's network after a run of one step."""
    folder = tmp_path_factory.mktemp("uses")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        return {f"{part}{name}": run(f"{part}{name}", folder) for name in NAMES for part in ("", "untied/")}


def run(name: str, folder: Path) -> int:
    words = [f"--config={CONFIGS / name}.yaml", "--trainer.fast_dev_run=true", "--trainer.accelerator=cpu"]
    words += ["--trainer.enable_progress_bar=false", f"--trainer.default_root_dir={folder}"]
    cli = TyingCLI(args=[*words, *TINY[Path(name).name]], run=False, save_config_callback=None)
    cli.trainer.fit(cli.model, cli.datamodule)
    assert torch.isfinite(cli.trainer.callback_metrics["train/loss"])
    cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    return sum(each.numel() for each in cli.model.parameters() if each.requires_grad)


@pytest.mark.filterwarnings("ignore:LightningCLI's args parameter:UserWarning")  # pytest has arguments of its own
@pytest.mark.parametrize("name", NAMES)
def test_both_run_and_the_tied_network_is_smaller(counts: dict[str, int], name: str) -> None:
    assert 0 < counts[name] < counts[f"untied/{name}"]
