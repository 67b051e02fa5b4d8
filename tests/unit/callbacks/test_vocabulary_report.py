"""VocabularyReport: what a run leaves behind and logs, with and without a logger, a vocabulary, a test."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import LightningDataModule, Trainer
from lightning.pytorch.loggers import CSVLogger

from lightning_tying.callbacks import VocabularyReport
from lightning_tying.callbacks.vocabulary.read_data import read_figures
from lightning_tying.data import TextFiles
from lightning_tying.errors import ConfigError
from lightning_tying.models import DecoderLM
from lightning_tying.reports.vocabulary import VocabularyFigures
from lightning_tying.tasks import LanguageModeling

NAMES = {f"vocabulary_report.{ending}" for ending in ("json", "md", "html")}
LANGUAGES = ("en", "de")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "table.tsv"
    rows = [f"the file number {n} is red\tdie rote Datei hat die Nummer {n}" for n in range(120)]
    path.write_text("\n".join(["en\tde", *rows]) + "\n")
    return path


@pytest.fixture
def data(table: Path) -> TextFiles:
    options: dict[str, Any] = {"length": 16, "batch_size": 4, "vocabulary_size": 300}
    return TextFiles(pairs=str(table), languages=list(LANGUAGES), cache_dir=str(table.parent / "cache"), **options)


def make_task() -> LanguageModeling:
    return LanguageModeling(DecoderLM(vocab_size=300, dim=8, depth=1, heads=1))


def make_trainer(folder: Path, callback: VocabularyReport, **options: Any) -> Trainer:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    given = {"logger": False, "max_steps": 1, "limit_val_batches": 2, "limit_test_batches": 2, **quiet, **options}
    return Trainer(accelerator="cpu", default_root_dir=folder, callbacks=[callback], **given)


def read_report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "vocabulary_report.json").read_text())


def read_bits(folder: Path) -> dict[str, float | None]:
    return {each["language"]: each["bits_per_byte"] for each in read_report(folder)["languages"]}


def test_fit_and_test_write_log_and_add_bits(data: TextFiles, tmp_path: Path) -> None:
    callback, logger = VocabularyReport(folder=tmp_path / "out"), CSVLogger(tmp_path, name="csv")
    trainer, task = make_trainer(tmp_path, callback, logger=logger, val_check_interval=1), make_task()
    trainer.fit(task, datamodule=data)
    assert {path.name for path in (tmp_path / "out").iterdir()} == NAMES
    report = read_report(tmp_path / "out")
    assert report["rows"] == data.vocabulary.size and report["reference"] == "en" and report["premium_max"] > 1
    assert report["bits_from"] == "val"
    (tested,) = trainer.test(task, datamodule=data, verbose=False)
    assert read_report(tmp_path / "out")["bits_from"] == "test"
    for language, bits in read_bits(tmp_path / "out").items():
        assert bits == pytest.approx(tested[f"test/bits_per_byte/{language}"], rel=1e-6)
    logger.save()
    logged = next(tmp_path.rglob("metrics.csv")).read_text().splitlines()[0].split(",")
    assert {"vocabulary/gini", "vocabulary/de/premium", "vocabulary/en/bits_per_byte"} <= set(logged)


def test_a_test_alone_reports_too(data: TextFiles, tmp_path: Path) -> None:
    make_trainer(tmp_path, VocabularyReport()).test(make_task(), datamodule=data, verbose=False)
    assert all(isinstance(bits, float) for bits in read_bits(tmp_path).values())


def test_the_files_lie_beside_the_checkpoints(data: TextFiles, tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, VocabularyReport(), enable_checkpointing=True)
    trainer.fit(make_task(), datamodule=data)
    folder = Path(trainer.checkpoint_callback.dirpath)  # pyright: ignore  # it has one after a fit
    assert {path.name for path in folder.iterdir()} >= NAMES


def test_a_dry_run_writes_nothing(data: TextFiles, tmp_path: Path) -> None:
    callback = VocabularyReport()
    make_trainer(tmp_path, callback, fast_dev_run=True).fit(make_task(), datamodule=data)
    assert isinstance(callback.figures, VocabularyFigures)
    assert list(tmp_path.iterdir()) == []


class Bare(LightningDataModule):
    """Batches without anything to report."""


class Mute(Bare):
    """A vocabulary, and no texts."""

    vocabulary = object()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "the data have no vocabulary, so there is nothing to report."),
        (Bare(), "the data have no vocabulary, so there is nothing to report."),
        (Mute(), "Mute has no `parallel_text(split)`"),
    ],
)
def test_data_without_vocabulary_get_one_sentence(data: LightningDataModule | None, told: str) -> None:
    found = read_figures(data, None, 10)
    assert isinstance(found, str) and told in found and "\n" not in found


def test_a_fit_without_vocabulary_warns_and_goes_on(data: TextFiles, tmp_path: Path) -> None:
    data.setup("fit")
    loader = data.train_dataloader()
    callback = VocabularyReport()
    with pytest.warns(UserWarning, match="VocabularyReport: the data have no vocabulary"):
        make_trainer(tmp_path, callback).fit(make_task(), loader)
    assert callback.figures is None and not NAMES & {path.name for path in tmp_path.iterdir()}


def test_a_folder_that_cannot_be_written_is_a_warning(data: TextFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    trainer = make_trainer(tmp_path, VocabularyReport(folder=tmp_path / "file" / "out"))
    with pytest.warns(UserWarning, match=r"VocabularyReport: .* cannot be written"):
        trainer.fit(make_task(), datamodule=data)
    assert trainer.global_step == 1


def test_many_texts_are_thinned_alike_in_all_languages(data: TextFiles) -> None:
    data.setup("fit")
    few = read_figures(data, None, 3)
    assert isinstance(few, VocabularyFigures)
    assert [each.texts for each in few.languages] == [few.languages[0].texts] * 2 and few.languages[0].texts <= 3
    assert few.premium_max is not None


def test_it_travels_and_has_a_key(data: TextFiles) -> None:
    callback = VocabularyReport(folder="a")
    data.setup("fit")
    callback.figures = read_figures(data, None, 10)  # pyright: ignore[reportAttributeAccessIssue]  # figures here
    copy = pickle.loads(pickle.dumps(callback))
    assert copy.figures == callback.figures and copy.state_key == callback.state_key
    assert callback.state_key != VocabularyReport(folder="b").state_key
    with pytest.raises(ConfigError, match="most_texts is 0"):
        VocabularyReport(most_texts=0)
