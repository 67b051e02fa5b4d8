"""Catalogs over Django: splits, tasks, vocabularies, and the same batches in every process."""

import hashlib
import inspect
import os
import subprocess
import sys

import pytest
import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningArgumentParser

from lightning_tying.data import Catalogs
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling, SharedVocabulary


def test_core_covers_26_languages(make_catalogs):
    data = make_catalogs(languages="core", vocabulary_size=300)
    data.split_text("train")
    assert len(data.languages) == 26
    sizes = {language: len(texts) for language, texts in data.split_text("train").items()}
    assert min(sizes.values()) > 400 and sizes["en"] > 700


def test_no_text_in_two_splits(make_catalogs):
    data = make_catalogs()
    splits = [data.split_text(split) for split in ("train", "val", "test")]
    for language in data.languages:
        sets = [set(split[language]) for split in splits]
        assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])


def test_language_modeling(make_catalogs):
    data = make_catalogs()
    data.setup("fit")
    assert data.languages == ["en", "de", "hi"] and data.classes == []
    assert data.vocabulary.size == data.vocabulary_size == 600
    loader = data.train_dataloader()
    batches = list(loader)
    assert len(batches) == len(loader) > 10
    assert {tuple(batch["tokens"].shape) for batch in batches} == {(8, 33)}
    assert max(int(batch["tokens"].max()) for batch in batches) < 600
    expected = {
        language: sum(len(t.encode()) + 1 for t in texts) for language, texts in data.split_text("test").items()
    }
    found = dict.fromkeys(data.languages, 0)
    for batch in data.test_dataloader():
        for index, count in zip(batch["language"].tolist(), batch["bytes"].tolist(), strict=True):
            found[data.languages[index]] += count
    assert found == expected


def test_translation(make_catalogs):
    data = make_catalogs(languages=["de", "hi"], task="translation")
    batch = next(iter(data.train_dataloader()))
    assert data.languages == ["en", "de", "hi"]  # the source comes in by itself
    assert set(batch["language"].tolist()) <= {1, 2}
    tags = [data.vocabulary.language_ids[data.languages[index]] for index in batch["language"]]
    assert batch["target"][:, 0].tolist() == tags
    assert len(batch["reference"]) == len(batch["source_text"]) == 8


def test_language_identification(make_catalogs):
    data = make_catalogs(task="language_identification")
    batch = next(iter(data.val_dataloader()))
    assert data.classes == ["en", "de", "hi"]
    assert batch["input"].dtype == batch["label"].dtype == torch.int64


def test_masked_placeholders(make_catalogs):
    text = "\n".join(t for texts in make_catalogs(mask_placeholders=True).split_text("train").values() for t in texts)
    assert "%(" not in text and "{}" in text


def fingerprint(data):
    digest = hashlib.sha256()
    for batch in data.train_dataloader():
        digest.update(batch["tokens"].numpy().tobytes())
    return f"{data.vocabulary.digest} {digest.hexdigest()}"


def test_the_same_batches_in_another_process_and_without_a_cache(make_catalogs, tmp_path):
    code = (
        f"import hashlib; from lightning_tying.data import Catalogs\n{inspect.getsource(fingerprint)}\n"
        "print(fingerprint(Catalogs(languages=['en', 'de', 'hi'], vocabulary_size=600, length=32, batch_size=8,"
        f" cache_dir={str(tmp_path)!r})))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "5", "OMP_NUM_THREADS": "1"}
    out = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == fingerprint(make_catalogs())


def test_a_damaged_vocabulary_in_the_cache_is_learned_again(tmp_path, make_catalogs):
    first = make_catalogs(cache_dir=str(tmp_path))
    first.prepare_data()
    (path,) = (tmp_path / "vocabularies").iterdir()
    path.write_text(path.read_text()[:-100])
    second = make_catalogs(cache_dir=str(tmp_path))
    second.prepare_data()
    assert second.vocabulary == first.vocabulary == SharedVocabulary.load(path)


def test_a_given_vocabulary_is_taken(make_catalogs, tmp_path):
    own = SharedVocabulary.train({"hi": ["नमस्ते"], "de": ["Hallo"], "en": ["hello"]}, 265)
    own.save(tmp_path / "tokenizer.json")
    data = make_catalogs(vocabulary=str(tmp_path / "tokenizer.json"), vocabulary_size=own.size)
    data.setup("fit")
    assert data.vocabulary == own
    with pytest.raises(ConfigError, match=rf"has {own.size} rows, more than .*set data\.vocabulary_size: {own.size}"):
        make_catalogs(vocabulary=str(tmp_path / "tokenizer.json"), vocabulary_size=200).setup("fit")
    with pytest.raises(ConfigError, match="has no tag for fr; it has: hi, de, en"):
        make_catalogs(languages=["fr", "de"], vocabulary=str(tmp_path / "tokenizer.json")).setup("fit")


def test_state_carries_the_vocabulary(make_catalogs):
    trained = make_catalogs(vocabulary_size=500)
    trained.setup("fit")
    state = trained.state_dict()
    assert state["languages"] == ["en", "de", "hi"]
    fresh = make_catalogs(vocabulary_size=600)
    fresh.setup("test")
    fresh.load_state_dict(state)
    assert fresh.vocabulary == trained.vocabulary
    assert max(int(batch["tokens"].max()) for batch in fresh.test_dataloader()) < 500


def test_a_state_of_other_languages_is_refused(make_catalogs):
    trained = make_catalogs(languages=["de", "en"], task="language_identification")
    trained.setup("fit")
    with pytest.raises(ConfigError, match="has no tag for hi"):
        make_catalogs().load_state_dict(trained.state_dict())
    with pytest.raises(ConfigError, match=r"tells apart de, en, and data\.languages gives en, de"):
        make_catalogs(languages=["en", "de"], task="language_identification").load_state_dict(trained.state_dict())


def test_a_small_corpus_warns_that_rows_stay_unused(make_catalogs):
    with pytest.warns(UserWarning, match=r"rows of the 50000 of data\.vocabulary_size"):
        make_catalogs(languages=["hi"], vocabulary_size=50000).setup("fit")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": []}, r"data\.languages is empty"),
        ({"languages": ["dee"]}, "Nearest: 'de'"),
        ({"package": "no_such"}, r"pip install 'lightning-tying\[examples\]'"),
        ({"package": None}, r"data\.package: django"),
        ({"folder": "/no/such"}, r"data\.folder: /no/such cannot be read"),
        ({"task": "translating"}, "must be one of .*Nearest: 'translation'"),
        ({"task": "translation", "languages": ["en"]}, "needs another language"),
        ({"length": 1}, r"data\.length is 1"),
        ({"batch_size": 0}, r"data\.batch_size is 0"),
        ({"seed": -1}, r"data\.seed is -1"),
        ({"vocabulary_size": 0}, r"data\.vocabulary_size is 0"),
        ({"vocabulary_size": 258}, "258 rows is too small"),
        ({"vocabulary": "/no/such.json"}, "cannot be read: No such file"),
    ],
)
def test_bad_options_are_refused(make_catalogs, options, message):
    with pytest.raises(ConfigError, match=message):
        make_catalogs(**options).setup("fit")


def test_a_language_without_text_is_named(write_po, cache):
    write_po("de", "".join(f'msgid "m{n}"\nmsgstr "Nachricht {n}"\n\n' for n in range(30)))
    folder = write_po("fr", 'msgid "m1"\nmsgstr ""\n')
    with pytest.raises(ConfigError, match="no text to train on in fr"):
        Catalogs(folder=str(folder), languages=["de", "fr"], vocabulary_size=300, cache_dir=cache).setup("fit")
    named_by_nobody = Catalogs(folder=str(folder), languages="all", vocabulary_size=300, cache_dir=cache)
    named_by_nobody.split_text("train")
    assert named_by_nobody.languages == ["de", "en"]


def test_an_empty_split_is_refused(write_po, cache):
    folder = write_po("de", 'msgid "Yes"\nmsgstr "Ja"\n')
    data = Catalogs(folder=str(folder), languages=["de"], vocabulary_size=300, cache_dir=cache)
    with pytest.raises(ConfigError, match="the val split has no rows for language_modeling in de"):
        data.val_dataloader()


def test_options_come_from_yaml_and_the_command_line():
    parser = LightningArgumentParser()
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    arguments = ["--data=lightning_tying.data.Catalogs", "--data.languages=[de, zh_Hans]", "--data.sampling.alpha=0.5"]
    data = parser.instantiate(parser.parse_args(arguments)).data
    assert data.options.languages == ["de", "zh_Hans"]
    assert data.sampling == Sampling(0.5)
    core = parser.instantiate(parser.parse_args(["--data=lightning_tying.data.Catalogs"])).data
    assert core.options.languages == "core" and core.sampling == Sampling(0.3)
