"""`vocab extend`, `vocab trim` and `checkpoint migrate --vocabulary` as a user calls them; training goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lightning_tying.cli import main
from lightning_tying.data import Catalogs
from lightning_tying.tasks import LanguageModeling
from lightning_tying.vocab import SharedVocabulary
from tests.slow import slow

SIZES = ["--data.languages=[en]", "--data.vocabulary_size=400", "--data.length=16", "--data.batch_size=2",
    "--model.network.init_args.dim=16", "--model.network.init_args.depth=2", "--model.network.init_args.heads=2",
    "--trainer.limit_val_batches=1", "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false", "--parameter_savings=false"]  # fmt: skip
RUN = str(Path(__file__).parents[2] / "configs" / "train" / "multilingual_lm.yaml")
SPECS = {
    "tied": "version: 1\nshare:\n  - tie: [embed.weight, head.weight]\n    name: vocabulary\n",
    "factors": "version: 1\nshare:\n  - embed.weight = E @ P\n  - head.weight = E @ P\n"
    "parameters:\n  E: {shape: [_, 8]}\n",
    "none": "null",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of two languages, and a base vocabulary extended and trimmed by the commands."""
    folder = tmp_path_factory.mktemp("vocabularies")
    (folder / "texts").mkdir()
    for language, texts in Catalogs(languages=["en", "de"]).split_text("train").items():
        lines = [" ".join(text.split()) for text in texts]
        (folder / "texts" / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["tied", "none", pytest.param("factors", marks=slow)])
def run(request: pytest.FixtureRequest, folder: Path) -> Path:
    """A run of two steps with its checkpoint, config and vocabulary."""
    name = request.param
    (folder / f"{name}.yaml").write_text(SPECS[name])
    sharing = "null" if name == "none" else str(folder / f"{name}.yaml")
    fit = ["fit", "--config", RUN, *SIZES, f"--model.sharing={sharing}", "--trainer.max_steps=2"]
    assert main([*fit, f"--trainer.default_root_dir={folder / name}"]) == 0
    return folder / name


def extend(run: Path, folder: Path, output: Path, size: int = 480) -> list[str]:
    texts = ["--texts", str(folder / "texts"), "--languages", "de", "--split", "train"]
    return ["vocab", "extend", str(run), "--size", str(size), "--output", str(output), *texts]


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def test_training_goes_on_with_an_extended_vocabulary(
    run: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, out = tmp_path / "new.json", tmp_path / "out.ckpt"
    assert main(extend(run, folder, new)) == 0
    words = ["checkpoint", "migrate", str(run / "last.ckpt"), "--vocabulary", str(new), "--new_rows", "subword_mean"]
    assert main([*words, "--dry-run"]) == 0
    assert "nothing was written" in capsys.readouterr().out and not out.exists()
    assert main([*words, "--output", str(out)]) == 0
    assert "rows: 400 before, 480 after; 400 kept bit for bit" in capsys.readouterr().out
    before, after = load(run / "last.ckpt"), load(out)
    grown = {name for name, value in after["state_dict"].items() if value.shape != before["state_dict"][name].shape}
    assert grown and all(torch.equal(after["state_dict"][n][:400], before["state_dict"][n]) for n in grown)
    old, made = (each["optimizer_states"][0]["state"] for each in (before, after))
    assert old.keys() == made.keys()
    for number, state in old.items():
        rows = len(state["exp_avg"])
        assert torch.equal(made[number]["exp_avg"][:rows], state["exp_avg"])
        assert not made[number]["exp_avg"][rows:].any() and (made[number]["exp_avg_sq"][rows:] >= 0).all()
    assert sum(len(state["exp_avg"]) == 480 for state in made.values()) == (2 if run.name == "none" else 1)
    assert after["hyper_parameters"]["network"]["init_args"]["vocab_size"] == 480
    module = LanguageModeling.load_from_checkpoint(out)
    assert module(torch.tensor([[479, 3]])).shape == (1, 2, 480)

    words = ["fit", "--config", str(run / "config.yaml"), "--trainer.max_steps=4", f"--ckpt_path={out}"]
    capsys.readouterr()
    assert main([*words, f"--trainer.default_root_dir={tmp_path / 'off'}"]) == 2
    assert "network was made for 400. Give the data its size: --data.vocabulary_size 480" in capsys.readouterr().err
    words.append("--data.vocabulary_size=480")
    assert main([*words, f"--trainer.default_root_dir={tmp_path / 'on'}"]) == 0
    gone_on = load(tmp_path / "on" / "last.ckpt")
    assert gone_on["global_step"] == 4 and SharedVocabulary.from_json(gone_on["vocabulary"]).size == 480


def test_another_vocabulary_of_one_size_is_compared_by_what_its_ids_stand_for(
    run: Path, folder: Path, tmp_path: Path
) -> None:
    lines = (folder / "texts" / "de.txt").read_text(encoding="utf-8").splitlines()
    other = SharedVocabulary.train({"en": lines}, 400)
    other.save(tmp_path / "other.json")
    out = tmp_path / "out.ckpt"
    words = ["checkpoint", "migrate", str(run / "last.ckpt"), "--vocabulary", str(tmp_path / "other.json")]
    rule = ["--new_rows", "omp"] if run.name == "none" else ["--new_rows", "overlap", "--texts", str(folder / "texts")]
    assert main([*words, *rule, "--output", str(out)]) == 0
    old = LanguageModeling.load_from_checkpoint(run / "last.ckpt")
    new = LanguageModeling.load_from_checkpoint(out)
    assert old.vocabulary is not None and new.vocabulary == other
    for text in ("%", "e", "Z"):
        before, after = old.vocabulary.encode(text), other.encode(text)
        torch.testing.assert_close(
            old.network.embed(torch.tensor(before)),
            new.network.embed(torch.tensor(after)),  # pyright: ignore
        )


def test_a_trimmed_vocabulary_takes_rows_out(run: Path, folder: Path, tmp_path: Path) -> None:
    trimmed, out = tmp_path / "small.json", tmp_path / "out.ckpt"
    (folder / "few").mkdir(exist_ok=True)
    (folder / "few" / "en.txt").write_text("The password is too short.\nEnter a valid password.\n")
    texts = ["--texts", str(folder / "few"), "--output", str(trimmed)]
    assert main(["vocab", "trim", str(run / "tokenizer.json"), *texts]) == 0
    ids = json.loads((tmp_path / "small.ids.json").read_text())["new_ids"]
    size = SharedVocabulary.load(trimmed).size
    assert len(ids) == 400 and max(ids) + 1 == size < 320
    words = ["checkpoint", "migrate", str(run / "last.ckpt"), "--vocabulary", str(trimmed), "--output", str(out)]
    assert main(words) == 0
    old, new = LanguageModeling.load_from_checkpoint(run / "last.ckpt"), LanguageModeling.load_from_checkpoint(out)
    kept = torch.tensor([id for id, after in enumerate(ids) if after >= 0])
    with torch.no_grad():
        torch.testing.assert_close(old.eval()(kept[None])[..., kept], new.eval()(torch.arange(size)[None]))


def test_weights_alone_are_for_init_from(run: Path, folder: Path, tmp_path: Path) -> None:
    if run.name != "none":
        pytest.skip("init_from takes weights of the untied network")
    new, out = tmp_path / "new.json", tmp_path / "out.ckpt"
    assert main(extend(run, folder, new)) == 0
    words = ["checkpoint", "migrate", str(run / "last.ckpt"), "--vocabulary", str(new), "--output", str(out)]
    assert main([*words, "--weights-only"]) == 0
    assert "optimizer_states" not in load(out)
    fit = ["fit", "--config", str(run / "config.yaml"), "--data.vocabulary_size=480", f"--data.vocabulary={new}"]
    start = [f"--model.init_from={out}", "--trainer.max_steps=1", f"--trainer.default_root_dir={tmp_path / 'on'}"]
    assert main([*fit, *start]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vocab", "extend"], None),
        (["vocab", "extend", "none.json", "--size", "9", "--output", "x.json"], "none.json cannot be read"),
        (["vocab", "extend", "a.json", "b.json", "--size", "9", "--output", "x.json"], "extend does not know b.json"),
        (["vocab", "extend", "a.json", "--output", "x.json"], "extend wants --size N"),
        (["vocab", "extend", "a.json", "--size", "many", "--output", "x.json"], "not many"),
        (["vocab", "extend", "bad.json", "--size", "900", "--output", "x.json"], "'ab', which is not in"),
        (["vocab", "trim", "a.json"], "trim wants --output"),
        (["vocab", "trim", "text.json", "--output", "x.json"], "text.json"),
        (["checkpoint", "migrate", "--vocabulary", "x.json"], "migrate wants a checkpoint first"),
        (["checkpoint", "migrate", "a.ckpt", "--vocabulary", "x.json"], "migrate wants --output"),
        (["checkpoint", "migrate", "a.ckpt", "--vocabulary", "x.json", "--to", "none"], "one at a time"),
        (["checkpoint", "migrate", "a.ckpt", "--vocabulary=x", "--dry-run", "--rows", "0"], "--rows is a number"),
        (
            ["checkpoint", "migrate", "a.ckpt", "--vocabulary=x", "--dry-run", "--new_rows", "fvt"],
            "--new_rows is one of",
        ),
        (["checkpoint", "migrate", "plain.ckpt", "--vocabulary=x", "--dry-run"], "plain.ckpt holds no vocabulary"),
    ],
)
def test_bad_input(
    words: list[str], message: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    model = {"type": "BPE", "vocab": {"<pad>": 0, "<eos>": 1, "a": 2, "b": 3}, "merges": [["a", "b"]]}
    added = [{"id": id, "content": name, "special": True} for name, id in (("<pad>", 0), ("<eos>", 1))]
    Path("bad.json").write_text(json.dumps({"added_tokens": added, "model": model}))
    Path("text.json").write_text("no JSON")
    torch.save({"pytorch-lightning_version": "2", "state_dict": {}}, "plain.ckpt")
    before = sorted(tmp_path.iterdir())
    assert main(words) == (0 if message is None else 2)
    told = capsys.readouterr()
    assert (message or "usage:") in (told.out if message is None else told.err)
    assert sorted(tmp_path.iterdir()) == before
