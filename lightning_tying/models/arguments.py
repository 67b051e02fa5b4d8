"""Arguments of a network in; nothing out, or a ValueError that says which argument of which network to change."""

from collections.abc import Collection
from difflib import get_close_matches


def check_at_least_one(network: str, **sizes: int) -> None:
    """Refuse sizes below 1.

    Args:
        network: The class that was called, for the message.
        **sizes: The arguments by name.

    Raises:
        ValueError: A size is below 1.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{network}: `{name}` is {size}. Write a whole number of at least 1.")


def check_multiple(network: str, name: str, size: int, of: str, unit: int) -> None:
    """Refuse a `size` that `unit` does not divide.

    Raises:
        ValueError: It does not; the message holds the two nearest sizes that it divides.
    """
    if size % unit:
        below, above = size // unit * unit, (size // unit + 1) * unit
        nearest = f"{above}" if below == 0 else f"{below} or {above}"
        raise ValueError(
            f"{network}: `{name}` is {size}, which is not a multiple of `{of}` ({unit}). Write {name}: {nearest}, or"
            f" change `{of}`."
        )


def check_heads(network: str, dim: int, heads: int, kv_heads: int) -> None:
    """Refuse heads that do not fit: `heads` divides `dim`, and `kv_heads` divides `heads`.

    Raises:
        ValueError: They do not fit, or one of them is below 1.
    """
    check_at_least_one(network, dim=dim, heads=heads, kv_heads=kv_heads)
    check_multiple(network, "dim", dim, "heads", heads)
    check_multiple(network, "heads", heads, "kv_heads", kv_heads)


def check_rotary(network: str, dim: int, heads: int) -> None:
    """Refuse an odd head size: rotary positions turn pairs of channels.

    Raises:
        ValueError: `dim // heads` is odd.
    """
    size = dim // heads
    if size % 2:
        raise ValueError(
            f"{network}: a head has {size} channels (`dim` {dim} / `heads` {heads}), but rotary positions turn pairs of"
            f" channels. Write dim: {heads * (size + 1)}, or change `heads`."
        )


def check_choice(network: str, name: str, value: str, choices: Collection[str]) -> None:
    """Refuse a text that is none of the choices.

    Raises:
        ValueError: It is none of them; the message holds all of them, and the nearest where one is near.
    """
    if value in choices:
        return
    near = get_close_matches(value, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{network}: `{name}` is {value!r}. Write one of {', '.join(map(repr, sorted(choices)))}.{hint}")


def check_fraction(network: str, **fractions: float) -> None:
    """Refuse dropout probabilities outside 0 ≤ p < 1.

    Raises:
        ValueError: A probability lies outside.
    """
    for name, fraction in fractions.items():
        if not 0.0 <= fraction < 1.0:
            raise ValueError(f"{network}: `{name}` is {fraction}. Write a probability from 0.0 up to, but not, 1.0.")
