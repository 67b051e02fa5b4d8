"""An entry of one line in, `‹pattern› = ‹value›`; its two sides out, or what was probably meant (errors 12 to 14)."""

from __future__ import annotations

import re

from lightning_tying.spec.mistakes import Mistake, quote_text

_ARROW = re.compile(r"->|=>|<-|:=|⇒|→|←")
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")


def split_equation(text: str) -> tuple[str, str]:
    """Split at the first `=`.

    Raises:
        Mistake: 12 there is none, 13 an arrow stands in its place, 14 there are two.
    """
    arrow, sign = _ARROW.search(text), text.find("=")
    if arrow is not None and (sign < 0 or arrow.start() <= sign):
        left, right = text[: arrow.start()].strip(), text[arrow.end() :].strip()
        raise Mistake("13", f"`{arrow[0]}` is not read. Write {left} = {right}")
    if sign < 0:
        raise Mistake("12", f"{quote_text(text)} has no `=`. Write ‹pattern› = ‹value›, or tie: [‹site›, ‹site›].")
    pattern, value = text[:sign].strip(), text[sign + 1 :].strip()
    if not pattern or not value:
        side = "left" if not pattern else "right"
        raise Mistake("12", f"{quote_text(text)} has nothing on the {side} of `=`. Write ‹pattern› = ‹value›.")
    _refuse_second(pattern, value)
    return pattern, value


def _refuse_second(pattern: str, value: str) -> None:
    """An `=` outside brackets and quotes that is no comparison makes a second equation."""
    hidden = _QUOTED.sub(lambda quoted: "'" * len(quoted[0]), value)
    level = 0
    for place, letter in enumerate(hidden):
        level += (letter in "([{") - (letter in ")]}")
        compares = "=" in hidden[place + 1 : place + 2] or hidden[max(place - 1, 0) : place] in ("=", "!", "<", ">")
        if letter == "=" and level <= 0 and not compares and place:
            second = value[:place].strip()
            advice = f"For one tensor at several sites write tie: [{pattern}, {second}]"
            raise Mistake("14", f"Two `=` in one equation. {advice}")
