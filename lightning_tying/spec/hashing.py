"""The language's hash: whole numbers and texts in, a whole number below 2⁶³ out, the same on every machine."""

from __future__ import annotations

from hashlib import blake2b

_MASK = (1 << 64) - 1


def hash_values(*values: int | str) -> int:
    """The function `hash(a, b, …)` of section 4.2 of the language reference.

    h = 0, for each value h = mix(h xor w(value)), the result is h >> 1; mix is SplitMix64's finalizer
    (Steele, Lea & Flood 2014) after adding the golden gamma.
    """
    state = 0
    for value in values:
        state = mix_number(state ^ number_of(value))
    return state >> 1


def number_of(value: int | str) -> int:
    """w(value): a whole number mod 2⁶⁴, of a text the first 8 bytes of its BLAKE2b."""
    if isinstance(value, int):
        return value & _MASK
    digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def mix_number(x: int) -> int:
    """mix(x) of 64 bits."""
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
