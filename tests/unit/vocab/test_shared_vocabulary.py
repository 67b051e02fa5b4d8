"""SharedVocabulary: ids, round trips, files, and the same bytes in every process."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling, SharedVocabulary
from lightning_tying.vocab.pretokenizer import normalize

TEXTS = {
    "de": ["Bitte melden Sie sich an", "Benutzername", "Das Kennwort ist falsch", "Bitte warten"],
    "hi": ["कृपया प्रवेश करें", "नमस्ते दुनिया", "पासवर्ड गलत है"],
    "zh": ["请登录", "密码错误", "请稍候"],
}


@pytest.fixture(scope="module")
def vocabulary():
    return SharedVocabulary.train(TEXTS, size=320)


def test_special_ids_come_first(vocabulary):
    assert (vocabulary.pad_id, vocabulary.eos_id) == (0, 1)
    assert vocabulary.language_ids == {"de": 2, "hi": 3, "zh": 4}
    assert vocabulary.size == len(vocabulary) == 320


@given(st.text())
def test_every_text_comes_back_as_its_normal_form(vocabulary, text):
    assert vocabulary.decode(vocabulary.encode(text)) == normalize(text)


@given(st.text())
def test_the_bytes_of_the_ids_are_the_bytes_of_the_text(vocabulary, text):
    counts = vocabulary.byte_counts()
    assert sum(counts[id] for id in vocabulary.encode(text)) == len(normalize(text).encode())


def test_language_tag_goes_first(vocabulary):
    assert vocabulary.encode("Bitte", language="de") == [2, *vocabulary.encode("Bitte")]
    assert vocabulary.decode(vocabulary.encode("Bitte", language="de")) == "Bitte"


def test_text_that_looks_like_a_special_token_is_text(vocabulary):
    ids = vocabulary.encode("<eos><de><pad>")
    assert not {0, 1, 2, 3, 4} & set(ids)
    assert vocabulary.decode(ids) == "<eos><de><pad>"


@pytest.mark.parametrize("make", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
def test_copies_are_equal_and_still_take_tags_for_text(vocabulary, make):
    twin = make(vocabulary)
    assert twin == vocabulary and hash(twin) == hash(vocabulary)
    assert twin.encode("<eos>") == vocabulary.encode("<eos>")


def test_save_and_load(vocabulary, tmp_path):
    path = tmp_path / "deep" / "tokenizer.json"
    vocabulary.save(path)
    assert SharedVocabulary.load(path) == vocabulary
    assert path.read_text() == vocabulary.to_json()
    assert [file.name for file in path.parent.iterdir()] == ["tokenizer.json"]


def test_a_small_corpus_gives_fewer_pieces_and_says_how_many_were_asked_for():
    small = SharedVocabulary.train({"de": ["aba"]}, size=5000)
    assert small.size < 5000
    assert small.asked == 5000


def test_sampling_gives_a_small_language_more_pieces():
    texts = {"de": TEXTS["de"] * 100, "hi": TEXTS["hi"]}
    length = {}
    for alpha in (0.0, 1.0):
        vocabulary = SharedVocabulary.train(texts, size=300, sampling=Sampling(alpha))
        length[alpha] = len(vocabulary.encode(TEXTS["hi"][0]))
    assert length[0.0] < length[1.0]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ({}, {}, "at least one language"),
        ({"de": ["a"], "hi": [""]}, {}, "there is none in: hi"),
        ({"de": ["a"]}, {"size": 258}, "258 rows is too small: .* need 259"),
        (
            {"de": ["a"]},
            {"strategy": "party"},
            "no vocabulary strategy 'party'; there are: joint, parity, unigram, clustered",
        ),
    ],
)
def test_bad_requests_are_refused(texts, options, message):
    with pytest.raises(ConfigError, match=message):
        SharedVocabulary.train(texts, **options)


def test_unknown_language_is_refused(vocabulary):
    with pytest.raises(ConfigError, match="no tag for the language 'fr'; it has: de, hi, zh"):
        vocabulary.encode("a", language="fr")
