"""The commands that need no training: help, version, examples, plan, discover."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from lightning_tying.cli import main
from lightning_tying.commands.examples import find_configs
from lightning_tying.commands.run import print_resume
from lightning_tying.models import ConvNet
from lightning_tying.spec.loader import load_spec

CONFIGS = Path(__file__).parents[2] / "configs"
RUN = str(CONFIGS / "train" / "multilingual_lm.yaml")


def test_help_teaches_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for word in ("fit", "validate", "test", "predict", "plan", "discover", "examples", "--config", "PL_FIT__"):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_no_command_shows_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage:" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("lightning-tying ")


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paln"]) == 2
    assert "Did you mean `plan`?" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["plan", "discover", "examples"])
def test_own_commands_have_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    assert f"usage: lightning-tying {command}" in capsys.readouterr().out


def test_examples_are_copied_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "my"
    assert main(["examples", str(target)]) == 0
    copied = sorted(file.relative_to(target) for file in target.rglob("*.yaml"))
    assert copied == sorted(file.relative_to(CONFIGS) for file in CONFIGS.rglob("*.yaml"))
    (target / "train" / "digits.yaml").write_text("mine")
    assert main(["examples", str(target)]) == 2
    assert "is there already; nothing was copied" in capsys.readouterr().err
    assert (target / "train" / "digits.yaml").read_text() == "mine"


def test_examples_copies_nothing_when_one_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "digits.yaml").write_text("mine")
    assert main(["examples", str(tmp_path)]) == 2
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["digits.yaml"]


def test_configs_are_found() -> None:
    assert (find_configs() / "train" / "multilingual_lm.yaml").is_file()


def test_plan_shows_groups_and_savings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN]) == 0
    text = capsys.readouterr().out
    assert "vocabulary  [8000, 128]" in text
    assert "saved" in text
    assert "block[attn.q.weight, 0]" in text


def test_plan_as_json_is_a_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {"spec", "graph", "steps", "savings"} <= content.keys()


@pytest.mark.parametrize(("form", "sign"), [("mermaid", "flowchart"), ("dot", "digraph"), ("html", "<")])
def test_plan_as_a_picture(form: str, sign: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, f"--format={form}"]) == 0
    assert sign in capsys.readouterr().out


def test_plan_takes_overrides_and_another_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("version: 1\nshare:\n  - tie: [embed.weight, head.weight]\n    name: table\n")
    arguments = ["plan", "--config", RUN, "--sharing", str(file), "--model.network.init_args.dim", "64"]
    assert main([*arguments, "--explain"]) == 0
    text = capsys.readouterr().out
    assert "table  [8000, 64]" in text
    assert "head.weight -> embed.weight" in text


def test_plan_with_values_names_the_ten_sites_that_start_farthest(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["plan", "--config", str(CONFIGS / "train" / "digits_templates.yaml"), "--values"]
    assert main(arguments) == 0
    head, _, tail = capsys.readouterr().out.partition("initial values, ")
    assert head.rstrip().endswith("% saved)")
    assert tail.startswith("‖site − value‖ / ‖site‖: 22 sites compared, the worst 10\n") and tail.count("weight") == 10
    assert main([*arguments, "--format=json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["initial_values"]["distances"]) == 22


def test_plan_with_values_starts_from_trained_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network = ConvNet(channels=1, classes=10, width=4, stages=1, blocks=2)
    for name, parameter in network.named_parameters():
        if name.endswith(("conv1.weight", "conv2.weight")):
            torch.nn.init.ones_(parameter)  # they are all alike, so sharing one loses nothing
    torch.save(network.state_dict(), tmp_path / "trained.pt")
    sizes = [f"--model.network.init_args.{name}" for name in ("width=4", "stages=1", "blocks=2")]
    arguments = ["plan", "--config", str(CONFIGS / "train" / "digits.yaml"), *sizes, "--values"]
    assert main([*arguments, f"--init_from={tmp_path / 'trained.pt'}"]) == 0
    assert "initial values: 4 sites compared, each keeps what it was" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "4 sites compared, the worst 3" in capsys.readouterr().out


def test_plan_of_a_run_without_sharing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, "--model.sharing", "null"]) == 2
    assert "has no sharing spec" in capsys.readouterr().err


def test_plan_format_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, "--format", "png"]) == 2
    assert "--format is one of text, json, mermaid, dot, html, not png." in capsys.readouterr().err


def test_discover_gives_a_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", "--config", str(CONFIGS / "train" / "translation.yaml")]) == 0
    spec = load_spec(capsys.readouterr().out)
    assert len(spec.entries) == 1
    assert main(["discover", "--config", RUN, "--model.sharing", "null"]) == 0
    assert capsys.readouterr().out.startswith("# no parameter")


def test_print_config_holds_the_content_of_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", RUN, "--trainer.max_steps", "7", "--print_config"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["max_steps"] == 7
    assert load_spec(config["model"]["init_args"]["sharing"]) == load_spec(CONFIGS / "sharing" / "cycle_lm.yaml")


def test_several_configs_and_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("trainer: {max_steps: 9}\n")
    monkeypatch.setenv("PL_FIT__TRAINER__ACCUMULATE_GRAD_BATCHES", "3")
    assert main(["fit", "--config", RUN, "--config", str(more), "--print_config"]) == 0
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["trainer"]["max_steps"] == 9
    assert config["trainer"]["accumulate_grad_batches"] == 3


def test_the_line_that_resumes_names_the_new_checkpoint_once(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "--config", "a b.yaml", "--ckpt_path", "old.ckpt", "--trainer.max_steps=3", "--ckpt_path=older"]
    print_resume(words, Path("runs/x/last.ckpt"))
    line = capsys.readouterr().err.splitlines()[-1]
    assert line == "lightning-tying fit --config 'a b.yaml' --trainer.max_steps=3 --ckpt_path runs/x/last.ckpt"


def test_let_replaces_a_value_of_the_spec(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, "--let", "M=4"]) == 0
    said = capsys.readouterr()
    assert "layers.{0, 4}.attn.q.weight" in said.out
    assert said.err == ""


def test_a_spec_without_the_name_refuses_let(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, "--let", "Q=4"]) == 2
    assert "`Q` is not a name of let." in capsys.readouterr().err
    assert main(["plan", "--config", RUN, "--let", "Q"]) == 2
    assert "--let K=6" in capsys.readouterr().err


def test_the_config_is_printed_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, "--let", "M=4", "--print_config"]) == 0
    assert "max_steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "hint"),
    [("--formt", "Did you mean `--format`?"), ("--max_steps", "Did you mean `--trainer.max_steps`?")],
)
def test_an_unknown_option_names_the_nearest(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", RUN, word, "3"]) == 2
    assert hint in capsys.readouterr().err


def test_a_config_without_its_option_is_told_how(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "run.yaml"]) == 2
    assert "--config run.yaml" in capsys.readouterr().err
