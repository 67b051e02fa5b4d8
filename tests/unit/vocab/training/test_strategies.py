"""What every strategy promises: ids in order, text that comes back, sizes, the same bytes in every process."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling, SharedVocabulary
from lightning_tying.vocab.pretokenizer import find_preset
from lightning_tying.vocab.training.members import train_members
from lightning_tying.vocab.training.request import ParityOptions

DEV = {
    "de": ["Bitte melden Sie sich an", "Das Kennwort ist falsch", "Bitte warten Sie", "Willkommen <id> hier"],
    "es": ["Por favor inicie sesión", "La contraseña no es válida", "Espere por favor", "Bienvenido <id> aquí"],
    "hi": ["कृपया प्रवेश करें", "पासवर्ड गलत है", "कृपया प्रतीक्षा करें", "यहाँ <id> स्वागत है"],
    "uk": ["Будь ласка, увійдіть", "Неправильний пароль", "Зачекайте, будь ласка", "Ласкаво просимо <id>"],
}
TEXTS = {language: [f"{one} {other}" for one in lines for other in lines] for language, lines in DEV.items()}
SIZE = 420
WAYS = {
    "joint": {},
    "joint-gpt2": {"pretokenizer": "gpt2"},
    "joint-scripts": {"pretokenizer": "scripts"},
    "joint-metaspace": {"pretokenizer": "metaspace"},
    "parity": {"dev": DEV},
    "parity-window": {"dev": DEV, "parity": ParityOptions("window", window_size=10)},
    "parity-hybrid": {"dev": DEV, "parity": ParityOptions("hybrid")},
    "parity-metaspace": {"dev": DEV, "pretokenizer": "metaspace"},
    "unigram": {},
    "clustered": {"clusters": 2},
    "clustered-metaspace": {"clusters": 2, "pretokenizer": "metaspace"},
}


def train(way):
    return SharedVocabulary.train(TEXTS, SIZE, Sampling(0.5), way.partition("-")[0], **WAYS[way])


@pytest.fixture(scope="module")
def vocabularies():
    return {way: train(way) for way in WAYS}


def normal(vocabulary, text):
    letters = json.loads(vocabulary.to_json())["pre_tokenizer"]["pretokenizers"][0]["type"] == "Metaspace"
    preset = find_preset("metaspace" if letters else "multilingual")
    return preset.normalizer().normalize_str(text.encode("utf-8", "replace").decode())


@pytest.mark.parametrize("way", WAYS)
def test_ids_sizes_and_tags(vocabularies, way):
    vocabulary = vocabularies[way]
    first = 3 if way == "unigram" else 2
    assert (vocabulary.pad_id, vocabulary.eos_id) == (0, 1)
    assert vocabulary.language_ids == {language: first + place for place, language in enumerate(TEXTS)}
    assert vocabulary.asked == SIZE
    assert vocabulary.size == SIZE or (way == "unigram" and 300 < vocabulary.size < SIZE)  # no more pieces in the texts
    assert SharedVocabulary.from_json(vocabulary.to_json()) == vocabulary


@pytest.mark.parametrize("way", ["joint-scripts", "parity-metaspace", "unigram", "clustered-metaspace"])
@given(text=st.text() | st.sampled_from(["<pad><eos><de>", "<unk>", "<0x41>", "▁a", " <id>", "\ta\n\nb "]))
def test_every_text_comes_back_and_no_text_is_a_special_token(vocabularies, way, text):
    vocabulary = vocabularies[way]
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids, "de") == normal(vocabulary, text)
    assert not {0, 1, *vocabulary.language_ids.values()} & set(ids)
    counts = vocabulary.byte_counts("de")
    assert sum(counts[id] for id in ids) == len(normal(vocabulary, text).encode())


@pytest.mark.parametrize("way", WAYS)
def test_what_was_learned_is_used(vocabularies, way):
    vocabulary = vocabularies[way]
    for language, lines in DEV.items():
        assert vocabulary.encode_many(lines, language) == vocabulary.encode_many(lines)
        assert sum(map(len, vocabulary.encode_many(lines))) < 0.6 * len("".join(lines).encode())


def test_same_bytes_in_another_process_with_another_hash_seed(vocabularies):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_strategies as t\n"
        "print(*(t.train(way).digest for way in t.WAYS))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TOKENIZERS_PARALLELISM": "false"}
    words = [sys.executable, "-c", code, os.path.dirname(__file__)]
    out = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert out.stdout.split() == [vocabulary.digest for vocabulary in vocabularies.values()]


def test_members_have_their_own_tags_and_sizes():
    for kind in ("joint", "unigram"):
        members = train_members(TEXTS, 300, kind)
        assert list(members) == list(TEXTS)
        for language, member in members.items():
            assert list(member.language_ids) == [language]
            assert member.size <= 300 == member.asked
            assert member.decode(member.encode(DEV[language][0])) == DEV[language][0]
    with pytest.raises(ConfigError, match="by joint or unigram, not by 'parity'"):
        train_members(TEXTS, 300, "parity")


def test_progress_is_told_of_every_stage():
    told = []
    SharedVocabulary.train(TEXTS, SIZE, strategy="clustered", progress=lambda *stage: told.append(stage[0]))
    assert {"learning each language", "learning clusters"} <= set(told)


def test_sampling_changes_what_is_learned_and_parity_needs_none():
    texts = {"de": TEXTS["de"] * 30, "hi": TEXTS["hi"]}
    for strategy in ("joint", "unigram", "clustered"):
        cost = {
            alpha: sum(map(len, SharedVocabulary.train(texts, 340, Sampling(alpha), strategy).encode_many(DEV["hi"])))
            for alpha in (0.0, 1.0)
        }
        assert cost[0.0] < cost[1.0], strategy
    dev = {"de": DEV["de"], "hi": DEV["hi"]}
    digests = {SharedVocabulary.train(texts, 340, Sampling(a), "parity", dev=dev).digest for a in (0.0, 1.0)}
    assert len(digests) == 1
