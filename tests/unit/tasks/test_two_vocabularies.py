"""Source and target with vocabularies of their own, and united rows: sizes, checkpoints, texts, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer

from lightning_tying.data import Catalogs
from lightning_tying.data.recipe import Recipe
from lightning_tying.errors import ConfigError, SpecError
from lightning_tying.models import DecoderLM, EncoderDecoder
from lightning_tying.tasks import LanguageModeling, Translation
from lightning_tying.tasks.build import build
from lightning_tying.vocab.separate_vocabularies import SeparateVocabularies
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary

THREE_WAY = {"share": [{"tie": ["encoder.embed.weight", "decoder.embed.weight", "head.weight"]}]}
TARGET = {"share": [{"tie": ["decoder.embed.weight", "head.weight"]}]}
MakeData = Callable[..., Catalogs]


@pytest.fixture(scope="module")
def make_data(tmp_path_factory: pytest.TempPathFactory) -> MakeData:
    cache = str(tmp_path_factory.mktemp("cache"))

    def make(**options: object) -> Catalogs:
        values = {
            "languages": ["pt"], "source": "es", "task": "translation", "vocabulary_size": 600, "length": 24,
            "batch_size": 4, "cache_dir": cache,
        }  # fmt: skip
        return Catalogs(**{**values, **options})  # type: ignore[arg-type]

    return make


def make_trainer(folder: Path) -> Trainer:
    return Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_steps=2,
        enable_checkpointing=False, limit_val_batches=1, limit_test_batches=1, limit_predict_batches=1,
        num_sanity_val_steps=0, default_root_dir=folder,
    )  # fmt: skip


def test_two_sizes() -> None:
    network = EncoderDecoder(50, 16, 1, 2, source_vocab_size=30)
    assert network.encoder.embed.weight.shape == (30, 16)
    assert network.decoder.embed.weight.shape == network.head.weight.shape == (50, 16)
    assert network(torch.full((1, 3), 29), torch.full((1, 4), 49)).shape == (1, 4, 50)
    with pytest.raises(ValueError, match="source_vocab_size"):
        EncoderDecoder(50, 16, 1, 2, source_vocab_size=0)


def test_separate_vocabularies_train_save_and_translate(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data(vocabulary_size=400, source_vocabulary_size=350)
    task = Translation(EncoderDecoder(400, 16, 1, 2, source_vocab_size=350), sharing=TARGET, length_factor=0.5)
    trainer = make_trainer(tmp_path)
    trainer.fit(task, data)
    assert {"test/loss", "test/chrf", "test/bleu"} == set(trainer.test(task, data, verbose=False)[0])
    found = trainer.predict(task, data)
    assert found is not None and len(found[0]) == 4
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    network = EncoderDecoder(400, 16, 1, 2, source_vocab_size=350)
    again = Translation.load_from_checkpoint(
        tmp_path / "x.ckpt", network=network, sharing=TARGET, length_factor=0.5, weights_only=True
    )
    assert isinstance(again.vocabulary, SeparateVocabularies)
    assert {name: one.size for name, one in again.vocabulary.members.items()} == {"es": 350, "pt": 400}
    assert again.translate(["hola"], "pt") == task.translate(["hola"], "pt", "es")  # the other of two reads
    with pytest.raises(ConfigError, match=r"'fr' has none; there are: es, pt"):
        again.translate(["hola"], "fr")


def test_vocabularies_of_two_sizes_are_not_tied_by_index(make_data: MakeData) -> None:
    with pytest.raises(SpecError, match=r"350.*400|400.*350"):
        Translation(EncoderDecoder(400, 16, 1, 2, source_vocab_size=350), sharing=THREE_WAY)


def test_united_rows_are_one_table(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data(recipe=Recipe(strategy="per_language"))
    task = Translation(EncoderDecoder(600, 16, 1, 2), sharing=THREE_WAY, length_factor=0.5)
    trainer = make_trainer(tmp_path)
    trainer.fit(task, data)
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    again = Translation.load_from_checkpoint(
        tmp_path / "x.ckpt", network=EncoderDecoder(600, 16, 1, 2), length_factor=0.5, weights_only=True
    )
    assert isinstance(again.vocabulary, UnitedVocabulary) and again.vocabulary == data.vocabulary
    assert again.network.head.weight is again.network.encoder.embed.weight
    assert len(again.translate(["hola", "adiós"], "pt")) == 2


def test_a_language_model_reads_and_writes_united_rows(make_data: MakeData, tmp_path: Path) -> None:
    data = make_data(languages=["es", "pt"], task="language_modeling", recipe=Recipe(strategy="per_language"))
    task = LanguageModeling(DecoderLM(600, 16, 1, 2), prompt_tokens=4, new_tokens=3)
    trainer = make_trainer(tmp_path)
    trainer.fit(task, data)
    values = trainer.test(task, data, verbose=False)[0]
    assert values["test/bits_per_byte"] > 0
    found = trainer.predict(task, data)
    assert found is not None and {text["language"] for text in found[0]} <= {"es", "pt"}
    first = data.vocabulary.decode(data.rows("test").batch([0])["tokens"][0, :4].tolist(), found[0][0]["language"])  # type: ignore[index, union-attr, arg-type]
    assert found[0][0]["prompt"] == first
    assert isinstance(task.generate("ho", "es", new_tokens=3), str)
    with pytest.raises(ConfigError, match="wants to know the language"):
        task.generate("ho")


def test_the_sizes_of_both_sides_come_from_the_data() -> None:
    model = {
        "class_path": "lightning_tying.tasks.Translation",
        "init_args": {
            "network": {
                "class_path": "lightning_tying.models.EncoderDecoder",
                "init_args": {"dim": 16, "depth": 1, "heads": 2},
            }
        },
    }
    data = {
        "class_path": "lightning_tying.data.Catalogs",
        "init_args": {"vocabulary_size": 33, "source_vocabulary_size": 22},
    }
    network = build({"model": model, "data": data}).network
    assert network.encoder.embed.weight.shape[0] == 22 and network.head.weight.shape[0] == 33
    del data["init_args"]["source_vocabulary_size"]  # type: ignore[attr-defined]
    network = build({"model": model, "data": data}).network
    assert network.encoder.embed.weight.shape[0] == network.head.weight.shape[0] == 33
