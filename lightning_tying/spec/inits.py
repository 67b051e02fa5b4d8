"""The text of an initial value in, `normal(0.02)` or `site(a.{l}.weight)`; an `Init` out."""

from __future__ import annotations

import ast
import re
from typing import get_args

from lightning_tying.spec.expressions import parse_expression
from lightning_tying.spec.mistakes import Mistake, quote_text
from lightning_tying.spec.names import check_name
from lightning_tying.spec.nearest import nearest_name
from lightning_tying.spec.nodes import Init, InitKind

INIT_KINDS: tuple[InitKind, ...] = get_args(InitKind)
_NUMBERS = {"constant": "v", "uniform": "bound", "trunc_normal": "std", "normal": "std"}
_ALSO_CALLED = {"avg": "mean", "average": "mean", "zero": "zeros", "one": "ones", "gaussian": "normal"}
_WRITTEN = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", re.DOTALL)
_HOLE = re.compile(r"\{([^{}]*)\}")


def read_init(text: str) -> Init:
    """Read an initial value by the table of section 8 of the language reference.

    Raises:
        Mistake: 79, with the nearest word or with what stands between the brackets.
    """
    found = _WRITTEN.fullmatch(text)
    word = found[1] if found else text
    if found is None or word not in INIT_KINDS:
        raise Mistake("79", _unknown_init(word))
    kind, inside = word, found[2]
    if kind == "site":
        return Init(kind, (_read_site(inside),))
    if kind == "svd_joint":
        return Init(kind, () if inside is None else (_read_whitening(inside),))
    if kind in _NUMBERS:
        return Init(kind, () if inside is None and kind == "normal" else (_read_number(kind, inside),))
    if inside is not None:
        raise Mistake("79", f"`{kind}` has nothing between brackets. Write {kind}")
    return Init(kind)


def site_captures(init: Init) -> tuple[str, ...]:
    """The captures that a `site(…)` names."""
    return tuple(_HOLE.findall(str(init.arguments[0]))) if init.kind == "site" else ()


def _unknown_init(word: str) -> str:
    near = _ALSO_CALLED.get(word.lower()) or nearest_name(word, INIT_KINDS)
    hint = f" Did you mean `{near}`?" if near else ""
    return f"Unknown init {quote_text(word)}.{hint} Known: {', '.join(sorted(INIT_KINDS))}."


def _read_site(inside: str | None) -> str:
    fqn = (inside or "").strip()
    if not re.fullmatch(r"[^\s*|=\\]+", fqn) or "{" in _HOLE.sub("", fqn) or "}" in _HOLE.sub("", fqn):
        raise Mistake("79", f"site({fqn}) names no site. Write its FQN, such as site(layers.0.norm.weight).")
    for name in _HOLE.findall(fqn):
        check_name(name)
    return fqn


def _read_whitening(inside: str) -> str:
    found = re.fullmatch(r"\s*whiten\s*=\s*(?:'([^'\\]*)'|\"([^\"\\]*)\")\s*", inside)
    file = (found[1] or found[2] or "") if found else ""
    if not file.endswith(".safetensors"):
        raise Mistake("79", "svd_joint is written svd_joint, or svd_joint(whiten='‹file›.safetensors').")
    return file


def _read_number(kind: str, inside: str | None) -> float:
    written = f"{kind}({_NUMBERS[kind]})"
    value = None if inside is None or not inside.strip() else _constant(inside)
    if value is None or (kind != "constant" and value < 0):
        raise Mistake("79", f"`{kind}` needs a number{'' if kind == 'constant' else ' of 0 or more'}: {written}")
    return value


def _constant(text: str) -> float | None:
    """A numeral, with a sign or without; None for anything else."""
    node = parse_expression(text)
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node, sign = node.operand, -1.0
    value: object = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e300:
        return None
    return sign * float(value)
