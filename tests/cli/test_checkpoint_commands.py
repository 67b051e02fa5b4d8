"""`lightning-tying checkpoint` as a user calls it: files of a real run go in, files and messages come out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lightning_tying.cli import main
from lightning_tying.tasks import LanguageModeling

HEAD = "version: 1\nshare:\n  - tie: [embed.weight, head.weight]\n    name: vocabulary\n"
ALBERT = 'version: 1\nshare:\n  - "layers.{l}.{name*} = block[name]"\nparameters:\n  block: {lr: 0.5}\n'
SIZES = ["--data.languages=[en]", "--data.vocabulary_size=400", "--data.length=16", "--data.batch_size=2",
    "--model.network.init_args.dim=16", "--model.network.init_args.depth=2", "--model.network.init_args.heads=2",
    "--trainer.limit_val_batches=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false", "--parameter_savings=false"]  # fmt: skip
RUN = str(Path(__file__).parents[2] / "configs" / "train" / "multilingual_lm.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, head = embedding, with its checkpoint and config."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "head.yaml").write_text(HEAD)
    (folder / "albert.yaml").write_text(ALBERT)
    fit = ["fit", "--config", RUN, *SIZES, f"--sharing={folder / 'head.yaml'}", "--trainer.max_steps=2"]
    assert main([*fit, f"--trainer.default_root_dir={folder / 'run'}"]) == 0
    return folder


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def test_inspect_as_text_and_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", "inspect", str(folder / "run" / "last.ckpt")]) == 0
    assert "network.embed.weight  [400, 16] float32, 25,600 bytes = network.head.weight" in capsys.readouterr().out
    assert main(["checkpoint", "inspect", str(folder / "run" / "last.ckpt"), "--format=json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["global_step"] == 2 and report["groups"][0]["aliases"] == ["network.head.weight"]


def test_migrated_training_goes_on(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, shared, plain = folder / "run" / "last.ckpt", tmp_path / "shared.ckpt", tmp_path / "plain.ckpt"
    config = ["--config", str(folder / "run" / "config.yaml")]
    before = checkpoint.read_bytes()
    words = ["checkpoint", "migrate", str(checkpoint), "--to", str(folder / "albert.yaml"), "--output", str(shared)]
    assert main([*words, "--dry-run"]) == 0
    assert "dry run: nothing was written" in capsys.readouterr().out and not shared.exists()
    assert main(words) == 0
    assert "the mean of network.layers.0.attn.q.weight, network.layers.1.attn.q.weight; moments with it" in (
        capsys.readouterr().out
    )
    old, new = load(checkpoint), load(shared)
    states = [old["state_dict"][f"network.layers.{n}.mlp.up.weight"] for n in range(2)]
    torch.testing.assert_close(new["state_dict"]["network.layers.1.mlp.up.weight"], sum(states) / 2)
    assert [group["lr_scale"] for group in new["optimizer_states"][0]["param_groups"]] == [1.0, 0.5]
    assert len(new["lr_schedulers"][0]["base_lrs"]) == 2
    module = LanguageModeling.load_from_checkpoint(shared)
    assert module.network.layers[1].mlp.up.weight is module.network.layers[0].mlp.up.weight  # pyright: ignore

    assert main(["checkpoint", "migrate", str(shared), *config, "--to", "none", "--output", str(plain)]) == 0
    assert "every site has the value that it had" in capsys.readouterr().out
    tokens = torch.randint(400, (2, 8))
    untied = LanguageModeling.load_from_checkpoint(plain)
    torch.testing.assert_close(module.eval()(tokens), untied.eval()(tokens))

    fit = ["fit", *config, "--trainer.max_steps=3", f"--trainer.default_root_dir={tmp_path / 'on'}"]
    assert main([*fit, f"--sharing={folder / 'albert.yaml'}", f"--ckpt_path={shared}"]) == 0
    assert load(tmp_path / "on" / "last.ckpt")["global_step"] == 3
    assert checkpoint.read_bytes() == before


def test_another_spec_than_the_checkpoints_is_shown_as_a_difference(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    albert, out = str(folder / "albert.yaml"), tmp_path / "out.ckpt"
    words = ["checkpoint", "migrate", str(folder / "run" / "last.ckpt"), "--from", albert, "--to", "none"]
    assert main([*words, "--output", str(out)]) == 2
    error = capsys.readouterr().err
    assert "another sharing spec" in error and '-  - tie: ["embed.weight", "head.weight"]' in error
    assert not out.exists()


def test_safetensors_there_and_back(folder: Path, tmp_path: Path) -> None:
    checkpoint, file, again = folder / "run" / "last.ckpt", tmp_path / "w.safetensors", tmp_path / "again.ckpt"
    config = ["--config", str(folder / "run" / "config.yaml")]
    assert main(["checkpoint", "export", str(checkpoint), "--format=safetensors", f"--output={file}"]) == 0
    assert main(["checkpoint", "import", str(file), "--format=safetensors", *config, f"--output={again}"]) == 0
    before, after = load(checkpoint)["state_dict"], load(again)["state_dict"]
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    words = ["validate", *config, f"--ckpt_path={again}", f"--trainer.default_root_dir={tmp_path / 'v'}"]
    assert main(words) == 0


HF = """\
model:
  class_path: lightning_tying.tasks.LanguageModeling
  init_args:
    network:
      class_path: lightning_tying.models.HuggingFace
      init_args:
        config: llama
        vocab_size: 50
        options: {hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2,
          num_key_value_heads: 2, tie_word_embeddings: true, max_position_embeddings: 32}
    sharing: {version: 1, root: model, share: ["model.layers.{l}.mlp.{m}.weight = mlp[m]"]}
"""


def test_a_network_of_transformers_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    transformers = pytest.importorskip("transformers")
    from lightning_tying import build, tie_class
    from lightning_tying.commands.checkpoints.import_weights import make_checkpoint

    (tmp_path / "config.yaml").write_text(HF)
    module = build(tmp_path / "config.yaml")
    module.configure_model()
    torch.save(make_checkpoint(module), tmp_path / "a.ckpt")
    assert main(["checkpoint", "export", str(tmp_path / "a.ckpt"), "--format=hf", f"--output={tmp_path / 'hf'}"]) == 0
    unique = sum(parameter.numel() * 4 for parameter in module.parameters())
    mlp = 3 * 16 * 32 * 4  # of the second layer, which the stock class does not tie
    assert f"tensors {unique + mlp:,})" in capsys.readouterr().out
    stock, told = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "hf", output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    tokens = torch.randint(1, 50, (2, 5))
    torch.testing.assert_close(stock.eval()(tokens).logits, module.eval()(tokens))

    words = ["checkpoint", "export", str(tmp_path / "a.ckpt"), "--format=hf", "--once", f"--output={tmp_path / 'once'}"]
    assert main(words) == 0
    assert f"tensors {unique:,})" in capsys.readouterr().out
    assert (tmp_path / "once" / "model.safetensors").stat().st_size < unique * 1.01 + 4000
    kind = tie_class(transformers.LlamaForCausalLM, tmp_path / "once" / "sharing.yaml")
    tied = kind.from_pretrained(tmp_path / "once").eval()
    assert tied.model.layers[1].mlp.up_proj.weight is tied.model.layers[0].mlp.up_proj.weight
    torch.testing.assert_close(tied(tokens).logits, module(tokens))

    stock.save_pretrained(tmp_path / "stock")  # a safetensors file of the untied network: lm_head is left out
    words = ["checkpoint", "import", str(tmp_path / "stock"), "--format=hf", "--config", str(tmp_path / "config.yaml")]
    assert main([*words, f"--output={tmp_path / 'b.ckpt'}"]) == 0
    before, after = (load(tmp_path / name)["state_dict"] for name in ("a.ckpt", "b.ckpt"))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["inspct"], "Did you mean `inspect`?"),
        (["inspect", "missing.ckpt"], "The file missing.ckpt does not exist."),
        (["inspect", "text.ckpt"], "text.ckpt is no checkpoint, or was cut off"),
        (["inspect", "text.ckpt", "more"], "inspect does not know more"),
        (["migrate", "text.ckpt", "--to", "none", "--output", "x"], "is no checkpoint"),
        (["migrate", "text.ckpt", "--output", "x"], "--to B.yaml, or --to none"),
        (["migrate", "text.ckpt", "--to", "none"], "--output OUT.ckpt, or --dry-run"),
        (["migrate", "missing.ckpt", "--to", "none", "--output", "text.ckpt"], "is there already"),
        (["consolidate", "."], "is a folder without a sharded checkpoint"),
        (["consolidate", "text.ckpt", "--output", "x"], "not a folder of shards"),
        (["export", "text.ckpt", "--format", "gguf", "--output", "x"], "--format is one of safetensors, hf"),
        (["export", "text.ckpt", "--format", "safetensors", "--output", "x"], "is no checkpoint"),
        (["export", "a.ckpt", "--format", "torch-export", "--output", "x"], "there is no config.yaml beside it"),
        (["export", "a.ckpt", "--format", "onnx", "--output", "x", "--input", "4"], "write a type of torch and sizes"),
        (["import", "missing.safetensors", "--format", "safetensors", "--output", "x"], "--config RUN.yaml"),
        (["import", "missing", "--format", "hf", "--config", "r.yaml", "--output", "x"], "missing is no folder"),
    ],
)
def test_bad_input_gives_one_message(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.ckpt").write_text("hello")
    torch.save({"pytorch-lightning_version": "2.6.6", "state_dict": {"w": torch.ones(1)}}, tmp_path / "a.ckpt")
    assert main(["checkpoint", *words]) == 2
    captured = capsys.readouterr()
    assert said in captured.err + captured.out
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.ckpt", "text.ckpt"]


@pytest.mark.parametrize("command", ["", "inspect", "migrate", "consolidate", "export", "import"])
def test_help_teaches(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["checkpoint", *([command] if command else []), "--help"]) == 0
    text = capsys.readouterr().out
    assert f"usage: lightning-tying checkpoint {command}".rstrip() in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_as_a_process(folder: Path, run, run_anew, tmp_path: Path) -> None:
    done = run_anew(tmp_path, "checkpoint", "inspect", str(folder / "run" / "last.ckpt"))
    assert done.returncode == 0 and "sharing groups" in done.stdout, done.stderr
    cut = folder / "cut.ckpt"
    cut.write_bytes((folder / "run" / "last.ckpt").read_bytes()[:5000])
    done = run("checkpoint", "inspect", str(cut))
    assert done.returncode == 2 and "Traceback" not in done.stderr
