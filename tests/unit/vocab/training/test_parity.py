"""Parity-aware BPE: languages pay alike, and never without dev texts."""

import pytest

from lightning_tying.errors import ConfigError
from lightning_tying.vocab import SharedVocabulary
from lightning_tying.vocab.training.request import ParityOptions

DEV = {"de": ["der Baum ist groß", "das Haus ist klein"], "el": ["το δέντρο είναι μεγάλο", "το σπίτι είναι μικρό"]}
TEXTS = {"de": DEV["de"] * 50, "el": DEV["el"]}  # plain BPE learns German first


def premium(**options):
    vocabulary = SharedVocabulary.train(TEXTS, 290, **options)
    cost = {language: sum(map(len, vocabulary.encode_many(lines))) for language, lines in DEV.items()}
    return cost["el"] / cost["de"]


def test_languages_pay_more_alike_than_under_joint_bpe():
    assert premium(strategy="parity", dev=DEV) < 0.8 * premium(strategy="joint")


def test_hybrid_is_between():
    hybrid = premium(strategy="parity", dev=DEV, parity=ParityOptions("hybrid", global_merges=20))
    assert premium(strategy="parity", dev=DEV) < hybrid < premium(strategy="joint")


@pytest.mark.parametrize(
    ("dev", "message"),
    [
        (None, "needs dev texts"),
        ({}, "needs dev texts"),
        ({"de": DEV["de"]}, "have nothing in: el"),
        ({"de": DEV["de"], "el": ["", ""]}, "have nothing in: el"),
        ({"de": DEV["de"], "el": DEV["el"][:1]}, "line by line; there are de 2, el 1"),
    ],
)
def test_dev_texts_that_are_missing_or_not_aligned_are_refused(dev, message):
    with pytest.raises(ConfigError, match=message):
        SharedVocabulary.train(TEXTS, 290, strategy="parity", dev=dev)


def test_all_mistakes_of_the_options_at_once():
    with pytest.raises(ConfigError) as caught:
        ParityOptions("bass", 0, -1.0, -2)
    for word in ("'bass'", "window_size is 0", "alpha is -1.0", "global_merges is -2"):
        assert word in str(caught.value)
