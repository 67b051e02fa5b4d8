"""The token store: what lies in it, and that damage is found and repaired."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lightning_tying.data.corpus import SPLITS, split_messages
from lightning_tying.data.token_store import make_token_store
from lightning_tying.vocab import SharedVocabulary

WORDS = {language: {f"{n}": f"{language} text {n}" for n in range(40)} for language in ("de", "fr")}


@pytest.fixture(scope="module")
def corpus():
    return split_messages(WORDS, unique=True)


@pytest.fixture(scope="module")
def vocabulary(corpus):
    return SharedVocabulary.train(corpus.texts("train"), 280)


def read_back(store, corpus, vocabulary):
    for split in SPLITS:
        for language, texts in corpus.texts(split).items():
            first, stop = store.messages(split, language)
            ids = [store.tokens[store.offsets[n] : store.offsets[n + 1]].tolist() for n in range(first, stop)]
            assert ids == [[*vocabulary.encode(text), vocabulary.eos_id] for text in texts]


def test_round_trip(corpus, vocabulary, tmp_path):
    store = make_token_store(corpus, vocabulary, tmp_path)
    read_back(store, corpus, vocabulary)
    assert not store.tokens.flags.writeable


def test_the_second_time_nothing_is_encoded(corpus, vocabulary, tmp_path, monkeypatch):
    make_token_store(corpus, vocabulary, tmp_path)
    monkeypatch.setattr(SharedVocabulary, "encode_many", None)
    make_token_store(corpus, vocabulary, tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:50],
        lambda data: data[:-1],
        lambda data: data[:-3] + b"\7\7\7",
        lambda data: data + b"x",
    ],
    ids=["empty", "header cut", "cut", "changed", "longer"],
)
def test_a_damaged_file_is_made_again(corpus, vocabulary, tmp_path, damage):
    make_token_store(corpus, vocabulary, tmp_path)
    (path,) = (tmp_path / "tokens").iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    read_back(make_token_store(corpus, vocabulary, tmp_path), corpus, vocabulary)
    assert path.read_bytes() == whole


def test_writers_at_the_same_time(corpus, vocabulary, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: make_token_store(corpus, vocabulary, tmp_path), range(24)))
    for store in stores:
        read_back(store, corpus, vocabulary)
    assert len(list((tmp_path / "tokens").iterdir())) == 1
