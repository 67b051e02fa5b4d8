"""Placeholders are masked on request; text is in form NFC."""

import unicodedata

import pytest

from lightning_tying.data.messages import clean_text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Hello %(name)s!", "Hello {}!"),
        ("%d of %d files", "{} of {} files"),
        ("%1$s by %2$s", "{} by {}"),
        ("{count} of {0:.2f} and {}", "{} of {} and {}"),
        ("${user} is in", "{} is in"),
        ("%(size).1f MB", "{} MB"),
        ("100% sure, 50%discount", "100% sure, 50%discount"),
        ("{ not one }", "{ not one }"),
    ],
)
def test_masking(text, masked):
    assert clean_text(text) == text
    assert clean_text(text, mask_placeholders=True) == masked


def test_nfc():
    assert clean_text(unicodedata.normalize("NFD", "Việt")) == "Việt"
