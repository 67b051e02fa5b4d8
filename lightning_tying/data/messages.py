"""Cleaning of messages: a text of a catalogue goes in, the text that a model sees comes out."""

from __future__ import annotations

import re

from lightning_tying.vocab.pretokenizer import normalize

MASK = "{}"

# printf with a name (%(count)s) and without (%s, %1$d), str.format and ICU's simple holes ({name}, {0:d}), ${name}
_PLACEHOLDER = re.compile(
    r"%\([^)]*\)[#0\- +]*\d*(?:\.\d+)?[a-zA-Z]|%(?:\d+\$)?[#0\-+]*\d*(?:\.\d+)?[diouxXeEfFgGcrsa](?![a-zA-Z])"
    r"|\$?\{[\w.\[\]]*(?:![rsa])?(?::[^{}]*)?\}"
)


def clean_text(text: str, mask_placeholders: bool = False) -> str:
    """The text in Unicode's form NFC; on request every placeholder is `MASK`.

    Placeholders are copied from language to language and make languages look more alike than they are.

    Args:
        text: a message.
        mask_placeholders: replace `%(name)s`, `%s`, `{name}` and their kin.
    """
    return normalize(_PLACEHOLDER.sub(MASK, text) if mask_placeholders else text)
