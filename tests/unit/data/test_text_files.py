"""TextFiles: a folder of texts, a table of translations."""

import pytest

from lightning_tying.data import TextFiles
from lightning_tying.errors import ConfigError

OPTIONS = {"vocabulary_size": 300, "length": 16, "batch_size": 4}


def test_a_folder_for_language_modeling(tmp_path, cache):
    for language in ("de", "fr"):
        (tmp_path / f"{language}.txt").write_text("\n".join(f"{language} line {n}" for n in range(60)))
    data = TextFiles(folder=str(tmp_path), cache_dir=cache, **OPTIONS)
    data.setup("fit")
    assert data.languages == ["de", "fr"]
    assert next(iter(data.train_dataloader()))["tokens"].shape == (4, 17)
    lines = [line for split in ("train", "val", "test") for line in data.split_text(split)["de"]]
    assert sorted(lines) == sorted(f"de line {n}" for n in range(60))


def test_a_table_for_translation(tmp_path, cache):
    path = tmp_path / "pairs.tsv"
    path.write_text("en\tde\n" + "".join(f"number {n}\tZahl {n}\n" for n in range(60)))
    data = TextFiles(pairs=str(path), task="translation", cache_dir=cache, **OPTIONS)
    batch = next(iter(data.test_dataloader()))
    assert all(t.replace("Zahl", "number") == s for s, t in zip(batch["source_text"], batch["reference"], strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either"),
        ({"folder": "a", "pairs": "b"}, "give either"),
        ({"folder": "a", "task": "translation"}, "needs a table of translations"),
        ({"folder": "/no/such"}, "cannot be read .*one file per language"),
        ({"pairs": "/no/such.tsv"}, "No such file"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        TextFiles(**options).setup("fit")


def test_an_empty_corpus_is_refused(tmp_path, cache):
    (tmp_path / "de.txt").write_text("\n\n")
    with pytest.raises(ConfigError, match="no text to train on in any language"):
        TextFiles(folder=str(tmp_path), cache_dir=cache).setup("fit")
