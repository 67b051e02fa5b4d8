"""Batches of text: masks, bytes, and every token predicted once."""

import numpy as np
import pytest
import torch

from lightning_tying.data.corpus import SPLITS, split_messages
from lightning_tying.data.pair_rows import PairRows
from lightning_tying.data.text_rows import LabelRows, WindowRows
from lightning_tying.data.token_store import make_token_store
from lightning_tying.vocab import SharedVocabulary

LANGUAGES = ["en", "de"]
MESSAGES = {
    "en": {f"{n}": f"the number {n}" for n in range(60)},
    "de": {f"{n}": f"die schöne Zahl {n}" for n in range(0, 60, 2)},
}


@pytest.fixture(scope="module")
def corpus():
    return split_messages(MESSAGES, unique=False)


@pytest.fixture(scope="module")
def vocabulary(corpus):
    return SharedVocabulary.train(corpus.texts("train"), 290)


@pytest.fixture(scope="module")
def store(corpus, vocabulary, tmp_path_factory):
    return make_token_store(corpus, vocabulary, tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("length", [2, 7, 1000])
def test_windows_predict_every_token_once(corpus, vocabulary, store, split, length):
    rows = WindowRows(store, split, LANGUAGES, vocabulary, length)
    batch = rows.batch(np.arange(len(rows)))
    assert batch["tokens"].shape == (len(rows), length + 1)
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
    for index, language in enumerate(LANGUAGES):
        mine = batch["language"] == index
        tokens = batch["tokens"][mine]
        assert (tokens[:, 0] == vocabulary.language_ids[language]).all()
        targets = tokens[:, 1:].flatten()
        expected = [
            id for text in corpus.texts(split)[language] for id in [*vocabulary.encode(text), vocabulary.eos_id]
        ]
        assert targets[targets != vocabulary.pad_id].tolist() == expected
        assert batch["bytes"][mine].sum() == sum(len(text.encode()) + 1 for text in corpus.texts(split)[language])
        assert (rows.groups[index][1] - rows.groups[index][0]) == mine.sum()


def test_only_the_end_of_a_window_is_padded(vocabulary, store):
    rows = WindowRows(store, "train", LANGUAGES, vocabulary, 7)
    padded = rows.batch(np.arange(len(rows)))["tokens"] == vocabulary.pad_id
    assert (padded[:, 1:] >= padded[:, :-1]).all()
    assert padded.any(dim=1).sum() <= len(LANGUAGES)


def test_pairs(corpus, vocabulary, store):
    rows = PairRows(
        corpus, store, "train", languages=LANGUAGES, directions=(("en", "de"),), vocabulary=vocabulary, length=100
    )
    assert len(rows) == len(corpus.splits["train"]["de"])
    batch = rows.batch(np.arange(len(rows)))
    for source, target, source_text, reference in zip(
        batch["source"], batch["target"], batch["source_text"], batch["reference"], strict=True
    ):
        key = source_text.removeprefix("the number ")
        assert reference == MESSAGES["de"][key]
        assert vocabulary.decode(source.tolist()) == source_text
        ids = target[target != vocabulary.pad_id].tolist()
        assert ids == [*vocabulary.encode(reference, language="de"), vocabulary.eos_id]
        assert source[source != vocabulary.pad_id][-1] == vocabulary.eos_id
    assert (batch["language"] == 1).all()
    assert (batch["source"] != vocabulary.pad_id).any(dim=0).all()  # no column of padding only


def test_both_directions_are_groups_with_their_languages_and_tags(corpus, vocabulary, store):
    directions = (("en", "de"), ("de", "en"))
    rows = PairRows(
        corpus, store, "train", languages=LANGUAGES, directions=directions, vocabulary=vocabulary, length=100
    )
    half = len(corpus.splits["train"]["de"])
    assert rows.groups == [(0, half), (half, 2 * half)]
    batch = rows.batch(np.array([0, half]))
    assert batch["source_language"].tolist() == [0, 1] and batch["language"].tolist() == [1, 0]
    assert batch["source_text"] == batch["reference"][::-1]
    assert batch["target"][:, 0].tolist() == [vocabulary.language_ids["de"], vocabulary.language_ids["en"]]
    for widths, source, target in zip(rows.widths[[0, half]], batch["source"], batch["target"], strict=True):
        assert widths.tolist() == [int((source != 0).sum()), int((target != 0).sum())]


def test_long_pairs_are_left_out_of_training_and_cut_elsewhere(corpus, vocabulary, store):
    options = {"languages": LANGUAGES, "directions": (("en", "de"),), "vocabulary": vocabulary, "length": 4}
    assert len(PairRows(corpus, store, "train", **options)) == 0
    rows = PairRows(corpus, store, "test", **options)
    batch = rows.batch(np.arange(len(rows)))
    assert batch["source"].shape[1] == batch["target"].shape[1] == 4
    assert (batch["source"][:, -1] == vocabulary.eos_id).all() and (batch["target"][:, -1] == vocabulary.eos_id).all()
    assert all(len(text) > 8 for text in batch["reference"])


def test_labels(corpus, vocabulary, store):
    rows = LabelRows(store, "test", LANGUAGES, vocabulary, length=100)
    batch = rows.batch(np.arange(len(rows)))
    texts = [text for language in LANGUAGES for text in corpus.texts("test")[language]]
    assert [vocabulary.decode(ids.tolist()) for ids in batch["input"]] == texts
    assert [LANGUAGES[label].startswith("de") for label in batch["label"]] == [text.startswith("die") for text in texts]
