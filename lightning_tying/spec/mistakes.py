"""One mistake in a small text, before anyone knows its line: a number of the language reference and a message."""

from __future__ import annotations

from lightning_tying.errors import TyingError


class Mistake(TyingError):
    """A pattern, a scalar, a value or an option cannot be read; the reader of the entry gives it a place.

    Args:
        code: its number in the language reference, `"16"`.
        text: what is wrong and what to write instead, without file and line.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text

    def __reduce__(self) -> tuple[type[Mistake], tuple[str, str]]:
        return Mistake, (self.code, self.text)


def quote_text(text: str, limit: int = 80) -> str:
    """`text` on one line and between backticks, cut where it is too long for a message."""
    line = " ".join(text.split())
    return f"`{line}`" if len(line) <= limit else f"`{line[:limit]}…`"
