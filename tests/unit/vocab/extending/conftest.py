"""Texts of three languages, and a vocabulary of two of them."""

from __future__ import annotations

import pytest

from lightning_tying.data import Catalogs
from lightning_tying.vocab import SharedVocabulary

Texts = dict[str, list[str]]


@pytest.fixture(scope="package")
def texts() -> Texts:
    """Messages of a program in German, Russian and Ukrainian."""
    return Catalogs(languages=["de", "ru", "uk"]).split_text("train")


@pytest.fixture(scope="package")
def base(texts: Texts) -> SharedVocabulary:
    """Learned from German and Russian."""
    return SharedVocabulary.train({"de": texts["de"], "ru": texts["ru"]}, 1500)
