"""The data under Lightning's Trainer: fit, resume, test with the checkpoint's vocabulary, two processes."""

import json
import subprocess
import sys

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lightning_tying.vocab import SharedVocabulary

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class Recorder(LightningModule):
    """Keeps a fingerprint of every batch it sees."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.tested = [], []

    def training_step(self, batch, batch_idx):
        self.seen.append(int(batch["tokens"].sum()))
        return self.weight * 1.0

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.weight)

    def test_step(self, batch, batch_idx):
        self.tested.append(int(batch["tokens"].max()))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(data, folder, model=None, checkpoint=None, **options):
    model = model or Recorder()
    options = {**QUIET, "max_epochs": 3, "limit_val_batches": 0, "default_root_dir": folder, **options}
    keep = ModelCheckpoint(dirpath=folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    trainer = Trainer(callbacks=[keep], **options)
    trainer.fit(model, data, ckpt_path=checkpoint)
    return model


@pytest.mark.parametrize("steps", [1, 9, 10, 11, 25])
def test_resume_sees_exactly_the_batches_that_were_left(make_catalogs, tmp_path, steps):
    options = {"limit_train_batches": 10}
    whole = fit(make_catalogs(), tmp_path / "whole", **options).seen
    assert len(whole) == 30 and whole[:10] != whole[10:20]
    resumed = fit(
        make_catalogs(), tmp_path / "resumed", checkpoint=tmp_path / "whole" / f"step={steps}.ckpt", **options
    )
    assert resumed.seen == whole[steps:]


class Scheduled(Recorder):
    """Asks for the number of steps, for which Lightning makes the loader before it restores the loops."""

    def configure_optimizers(self):
        assert self.trainer.estimated_stepping_batches == 30
        return super().configure_optimizers()


@pytest.mark.parametrize("steps", [9, 10, 15])
def test_resume_keeps_the_position_where_a_schedule_asks_for_the_steps(make_catalogs, tmp_path, steps):
    options = {"limit_train_batches": 10}
    whole = fit(make_catalogs(), tmp_path / "whole", Scheduled(), **options).seen
    checkpoint = tmp_path / "whole" / f"step={steps}.ckpt"
    resumed = fit(make_catalogs(), tmp_path / "resumed", Scheduled(), checkpoint=checkpoint, **options)
    assert resumed.seen == whole[steps:]


def test_resume_over_whole_epochs(make_catalogs, tmp_path):
    length = len(make_catalogs().train_dataloader())
    whole = fit(make_catalogs(), tmp_path / "whole", max_epochs=2).seen
    assert len(whole) == 2 * length
    for steps in (length - 1, length, length + 1):
        checkpoint = tmp_path / "whole" / f"step={steps}.ckpt"
        assert fit(make_catalogs(), tmp_path / "resumed", checkpoint=checkpoint, max_epochs=2).seen == whole[steps:]


def test_run_folder_gets_the_vocabulary(make_catalogs, tmp_path):
    data = make_catalogs()
    fit(data, tmp_path, max_steps=1)
    assert SharedVocabulary.load(tmp_path / "tokenizer.json") == data.vocabulary


def test_fast_dev_run_writes_nothing(make_catalogs, tmp_path):
    Trainer(**QUIET, fast_dev_run=True, default_root_dir=tmp_path).fit(Recorder(), make_catalogs())
    assert not list(tmp_path.iterdir())


def test_testing_takes_the_vocabulary_of_the_checkpoint(make_catalogs, tmp_path):
    trained = make_catalogs(vocabulary_size=400)
    fit(trained, tmp_path, max_steps=1)
    data, model = make_catalogs(vocabulary_size=600), Recorder()
    Trainer(**QUIET, default_root_dir=tmp_path).test(model, data, ckpt_path=tmp_path / "step=1.ckpt")
    assert data.vocabulary == trained.vocabulary
    assert 300 < max(model.tested) < 400


def test_overfitting_repeats_the_same_batches(make_catalogs, tmp_path):
    seen = fit(make_catalogs(), tmp_path, overfit_batches=2).seen
    assert seen[:2] == seen[2:4] == seen[4:6]


def test_validation_runs_by_itself(make_catalogs, tmp_path):
    Trainer(**QUIET, default_root_dir=tmp_path).validate(Recorder(), make_catalogs(), verbose=False)


SCRIPT = """
import json, sys
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning_tying.data import Catalogs

class Recorder(LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.rows = []
    def training_step(self, batch, batch_idx):
        self.rows.append(batch["tokens"].tolist())
        return self.weight * 1.0
    def test_step(self, batch, batch_idx):
        self.rows.append(batch["tokens"].tolist())
    def on_test_end(self):
        with open(f"{folder}/{task}{self.global_rank}.json", "w") as file:
            json.dump(self.rows, file)
    on_train_end = on_test_end
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

folder = sys.argv[1]
options = {"vocabulary_size": 600, "length": 32, "batch_size": 4, "cache_dir": folder + "/cache"}
for task in ("fit", "test"):
    data = Catalogs(languages=["en", "de", "hi"], **options)
    trainer = Trainer(
        accelerator="cpu", strategy="ddp_fork", devices=2, logger=False, enable_progress_bar=False, max_steps=6,
        enable_checkpointing=False, enable_model_summary=False, limit_val_batches=0, default_root_dir=folder,
    )
    getattr(trainer, task)(Recorder(), data)
"""


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """What each of two processes saw, in training and in testing."""
    folder = tmp_path_factory.mktemp("ddp")
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(folder / "script.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert len(list((folder / "cache" / "tokens").iterdir())) == 1
    return {task: [json.loads((folder / f"{task}{r}.json").read_text()) for r in range(2)] for task in ("fit", "test")}


def test_two_processes_share_the_batches_of_one(make_catalogs, two_processes):
    loader = iter(make_catalogs(batch_size=8).train_dataloader())
    for one, two in zip(*two_processes["fit"], strict=True):
        assert one + two == next(loader)["tokens"].tolist()


def test_two_processes_test_every_row_once(make_catalogs, two_processes):
    seen = [row for batches in two_processes["test"] for batch in batches for row in batch]
    expected = [row for batch in make_catalogs().test_dataloader() for row in batch["tokens"].tolist()]
    assert sorted(seen) == sorted(expected)
