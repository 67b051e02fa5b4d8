"""Plain values in, the YAML text that reads back as the same value out; and the types of plain YAML 1.2 scalars."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Union

PlainValue = Union[None, bool, int, float, str, "Sequence[PlainValue]", "Mapping[str, PlainValue]"]

_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LONGEST_NUMBER = 400
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}


def resolve_plain(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar by YAML 1.2's core schema: `1e-3` is a number, `yes` a text.

    What is no finite number (`.inf`, `1e999`) stays a text.
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text) or _HEXADECIMAL.fullmatch(text):
        return int(text, 0)
    if _REAL.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def quote_yaml(text: str) -> str:
    """A text in double quotes, with escapes for all that a YAML file cannot hold as it is."""
    return '"' + "".join(_escape(letter) for letter in text) + '"'


def _escape(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    return f"\\x{code:02X}" if code < 256 else f"\\u{code:04X}" if code < 65536 else f"\\U{code:08X}"


def write_flow(value: PlainValue) -> str:
    """A value on one line: texts and keys in double quotes, lists and mappings in brackets."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quote_yaml(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quote_yaml(key)}: {write_flow(part)}" for key, part in value.items()) + "}"
    return "[" + ", ".join(write_flow(part) for part in value) + "]"
