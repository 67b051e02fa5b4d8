"""Whole runs in processes of their own: the shipped configs, checkpoints, resuming, Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
Run = Callable[..., "subprocess.CompletedProcess[str]"]
TINY = {
    "multilingual_lm": ["--data.languages=[en,de]", "--data.vocabulary_size=400", "--data.length=32",
                        "--model.network.init_args.dim=16", "--model.network.init_args.depth=4",
                        "--model.network.init_args.heads=2"],
    "lstm_lm": ["--data.languages=[en,de]", "--data.vocabulary_size=400", "--data.length=32",
                "--model.network.init_args.dim=16"],
    "translation": ["--data.languages=[de]", "--data.vocabulary_size=400", "--model.network.init_args.dim=16",
                    "--model.network.init_args.depth=1", "--model.network.init_args.hidden=32",
                    "--model.network.init_args.heads=2", "--data.batch_size=4", "--data.length=16"],
    "many_to_many": ["--data.languages=[en,de,es]", "--data.vocabulary_size=400", "--model.network.init_args.dim=16",
                     "--model.network.init_args.depth=1", "--model.network.init_args.hidden=32",
                     "--model.network.init_args.heads=2", "--data.max_tokens=64", "--data.length=16"],
    "two_vocabularies": ["--data.vocabulary_size=600", "--data.recipe.member_size=300", "--data.length=16",
                         "--model.network.init_args.dim=16", "--model.network.init_args.depth=1",
                         "--model.network.init_args.hidden=32", "--model.network.init_args.heads=2",
                         "--data.max_tokens=64"],
    "two_vocabularies_dictionary": ["--data.vocabulary_size=600", "--data.recipe.member_size=300", "--data.length=16",
                                    "--model.network.init_args.dim=16", "--model.network.init_args.depth=1",
                                    "--model.network.init_args.hidden=32", "--model.network.init_args.heads=2",
                                    "--data.max_tokens=64"],
    "relaxed_lm": ["--data.languages=[en,de]", "--data.vocabulary_size=400", "--data.length=32", "--let=r=2",
                   "--model.network.init_args.dim=16", "--model.network.init_args.depth=4",
                   "--model.network.init_args.heads=2"],
    "digits_templates": ["--model.network.init_args.width=4", "--model.network.init_args.stages=2"],
    "language_identification": ["--data.languages=[en,de]", "--data.vocabulary_size=400", "--data.length=16",
                                "--model.network.init_args.dim=16", "--model.network.init_args.heads=2"],
    "docstrings": ["--data.packages=[joblib]", "--data.words=4", "--data.vocabulary_size=400", "--data.length=16",
                   "--model.network.init_args.dim=16", "--model.network.init_args.heads=2"],
    "mnist": ["--model.network.init_args.width=4", "--model.network.init_args.blocks=2"],
    "japanese_vowels": ["--model.network.init_args.dim=4"],
    "digits": ["--model.network.init_args.width=4", "--model.network.init_args.stages=2"],
}  # fmt: skip


def bits_per_byte(text: str) -> list[str]:
    return re.findall(r"test/bits_per_byte\b(?!/)\D*([\d.]+)", text)


def test_every_run_config_has_a_test() -> None:
    own = {file.stem for file in CONFIGS.glob("joint_*.yaml")}  # of several models: tests/configs/test_joint_configs.py
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == TINY.keys() | own


@pytest.mark.parametrize("name", sorted(TINY))
def test_run_configs_pass_fast_dev_run(name: str, run: Run, tmp_path: Path) -> None:
    done = run("fit", "--config", str(CONFIGS / f"{name}.yaml"), "--trainer.fast_dev_run=true", *TINY[name])
    assert done.returncode == 0, done.stderr
    assert "% saved)" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def trained(run_in: Callable[..., Run], small: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the small model was trained."""
    folder = tmp_path_factory.mktemp("trained")
    done = run_in(folder)("fit", *small)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_folder_has_everything(trained: Path) -> None:
    folder = trained / "runs" / "multilingual_lm"
    names = {path.name for path in folder.iterdir()}
    sharing = {f"sharing.{kind}" for kind in ("json", "md", "html", "svg")}
    assert names == {"best.ckpt", "last.ckpt", "tokenizer.json", "config.yaml", "logs", *sharing}
    assert {path.name for path in (folder / "logs").iterdir()} == {"tensorboard", "csv"}
    content = torch.load(folder / "last.ckpt", weights_only=True)
    assert content["vocabulary"] == (folder / "tokenizer.json").read_text()
    assert content["hyper_parameters"]["network"]["init_args"]["vocab_size"] == 400
    assert json.loads((folder / "sharing.json").read_text())["savings"]["saved"] > 0


def test_the_best_checkpoint_is_tested_and_the_saved_config_gives_the_same(
    trained: Path, run_in: Callable[..., Run], run_anew: Run, small: list[str]
) -> None:
    run, folder = run_in(trained), trained / "runs" / "multilingual_lm"
    tested = run_anew(trained, "test", *small)
    assert tested.returncode == 0, tested.stderr
    assert "best.ckpt" in tested.stderr
    from_saved = run("test", "--config", str(folder / "config.yaml"), "--ckpt_path", str(folder / "best.ckpt"))
    assert bits_per_byte(from_saved.stdout) == bits_per_byte(tested.stdout) != []


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["validate", "--config"], 0, "best.ckpt"),
        (["discover", "--config"], 0, "tie:"),
        (["report", "runs/multilingual_lm"], 2, "stability.jsonl"),
    ],
)
def test_the_installed_program_has_every_command(
    words: list[str], status: int, said: str, trained: Path, run_anew: Run, small: list[str]
) -> None:
    """Those that no other test starts so: `examples`, `plan`, `fit` and `predict` are those of test_wheel.py."""
    options = {"validate": small[1:], "discover": small[1:2]}.get(words[0], [])
    done = run_anew(trained, *words, *options)
    assert done.returncode == status and said in done.stdout + done.stderr, done.stderr


def test_prediction_prints_texts(trained: Path, run_in: Callable[..., Run], small: list[str]) -> None:
    predicted = run_in(trained)("predict", *small)
    assert predicted.returncode == 0, predicted.stderr
    assert "continuation: " in predicted.stdout


def test_a_checkpoint_of_another_spec_is_refused(trained: Path, run_in: Callable[..., Run], small: list[str]) -> None:
    refused = run_in(trained)("test", *small, "--model.sharing", "null")
    assert refused.returncode == 2
    assert "The checkpoint was made with another sharing spec than" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_run_goes_on_and_ends_with_its_last_step(trained: Path, run_in: Callable[..., Run], small: list[str]) -> None:
    checkpoint = trained / "runs" / "multilingual_lm" / "last.ckpt"
    arguments = ["--trainer.max_steps=7", "--trainer.default_root_dir=longer", "--ckpt_path", str(checkpoint)]
    longer = run_in(trained)("fit", *small, *arguments)
    assert longer.returncode == 0, longer.stderr
    assert torch.load(trained / "longer" / "last.ckpt", weights_only=True)["global_step"] == 7


def test_untied_weights_are_solved_into_a_spec(run: Run, small: list[str], tmp_path: Path) -> None:
    untied = run("fit", *small, "--model.sharing", "null", "--trainer.default_root_dir", "untied")
    assert untied.returncode == 0, untied.stderr
    tied = run("fit", *small, "--init_from", "untied/best.ckpt", "--trainer.max_steps=1")
    assert tied.returncode == 0, tied.stderr
    missing = run("fit", *small, "--init_from", "nowhere.ckpt")
    assert missing.returncode == 2
    assert "\nThe weights nowhere.ckpt do not exist." in missing.stderr


def test_ctrl_c_saves_and_tells_how_to_resume(
    small: list[str], tmp_path: Path, environment: dict[str, str], command: list[str], run: Run
) -> None:
    words = ["fit", *small, "--trainer.max_steps=2000", "--trainer.val_check_interval=1000"]
    process = subprocess.Popen(
        [*command, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=tmp_path,
        env={**environment, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("step "):
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 130, "".join(lines) + rest
    assert "Traceback" not in rest
    checkpoint = tmp_path / "runs" / "multilingual_lm" / "last.ckpt"
    step = torch.load(checkpoint, weights_only=True)["global_step"]
    assert step >= 1
    resume = rest.strip().splitlines()[-1]
    assert resume.startswith("lightning-tying fit --config")
    assert resume.endswith("--ckpt_path runs/multilingual_lm/last.ckpt")
    done = run(
        *words, f"--trainer.max_steps={step + 2}", "--trainer.val_check_interval=1", "--ckpt_path", str(checkpoint)
    )
    assert done.returncode == 0, done.stderr
    assert torch.load(checkpoint, weights_only=True)["global_step"] == step + 2


SHIFTED = """
version: 1
share:
  - {sites: "{m}.weight", equals: "rows(T, 'maps/{m}.json')", where: "m == 'head'"}
"""


def test_a_saved_config_brings_its_maps_along(run: Run, tmp_path: Path) -> None:
    spec = tmp_path / "specs" / "shifted.yaml"
    (spec.parent / "maps").mkdir(parents=True)
    spec.write_text(SHIFTED)
    table = spec.parent / "maps" / "head.json"
    table.write_text(json.dumps([0, 1, 2, 3, 4, 0, 1, 2, 3, 4]))
    base = ["--config", str(CONFIGS / "digits.yaml"), *TINY["digits"], "--model.sharing", str(spec)]
    stop = ["--trainer.limit_val_batches=1", "--trainer.max_steps"]
    first = run("fit", *base, "--trainer.default_root_dir=out/one", *stop, "2")
    assert first.returncode == 0, first.stderr
    table.unlink()
    saved = ["--config", str(tmp_path / "out" / "one" / "config.yaml")]
    again = run("fit", *saved, "--trainer.default_root_dir=out/two", "--ckpt_path=out/one/last.ckpt", *stop, "3")
    assert again.returncode == 0, again.stderr
    assert "step 3/3" in again.stderr + again.stdout
    one, two = (json.loads((tmp_path / "out" / name / "sharing.json").read_text()) for name in ("one", "two"))
    (before,), (after,) = one["plan"]["graph"]["derived"], two["plan"]["graph"]["derived"]
    assert before["expression"] == after["expression"] and one["savings"] == two["savings"]
    tested = run("test", "--config", str(tmp_path / "out" / "two" / "config.yaml"), "--trainer.limit_test_batches=1")
    assert tested.returncode == 0, tested.stderr
    assert "checkpoint: out/two/" in tested.stderr  # not the one that the training went on from
