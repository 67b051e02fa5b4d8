"""The hash against a second writing of its definition, and against numbers that must never change."""

from __future__ import annotations

import hashlib
import struct

from hypothesis import given
from hypothesis import strategies as st

from lightning_tying.spec.hashing import hash_values

M = 2**64


def reference(*arguments):
    h = 0
    for a in arguments:
        w = a % M if isinstance(a, int) else struct.unpack("<Q", hashlib.blake2b(a.encode(), digest_size=8).digest())[0]
        x = h ^ w
        x = (x + 0x9E3779B97F4A7C15) % M
        x = ((x ^ (x // 2**30)) * 0xBF58476D1CE4E5B9) % M
        x = ((x ^ (x // 2**27)) * 0x94D049BB133111EB) % M
        h = x ^ (x // 2**31)
    return h // 2


@given(st.lists(st.integers(-(2**63), 2**63) | st.text(st.characters(exclude_categories=["Cs"]))))
def test_reference(arguments):
    assert hash_values(*arguments) == reference(*arguments)
    assert 0 <= hash_values(*arguments) < 2**63


def test_splitmix64():
    # the first outputs of SplitMix64 with seed 0 are mix(0) and mix(0x9E37…): published test vectors
    assert hash_values(0) == 0xE220A8397B1DCDAF >> 1
    assert hash_values(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4 >> 1
    assert hash_values() == 0
