"""The text of a value or a scalar in, Python's syntax tree out; limits are checked before the parser sees the text."""

from __future__ import annotations

import ast
import keyword
import re
import warnings

from lightning_tying.spec.mistakes import Mistake, quote_text

MAX_CHARACTERS = 2000
MAX_LEVELS = 64
_MAX_CHAIN = 128  # operators in a row at one level; what prints and copies trees is recursive
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
_SIZE_IN = re.compile(r"(?:^|[(,\[+*/%<>=-])\s*in\s*(?:$|[),\]+*/%<>=-])")
_LANGUAGE_KEYWORDS = frozenset({"and", "or", "not", "in", "True", "False", "None"})


def parse_expression(text: str) -> ast.expr:
    """Parse one expression by Python's grammar; line breaks count as spaces, and nothing is evaluated.

    Raises:
        Mistake: 22 to 24 and 52: not an expression, too long, too deep, or a word of Python's grammar as a name.
    """
    line = re.sub(r"[\r\n\f\v]", " ", text).strip()
    _check_limits(line)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a text is the writer's own affair
            tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        raise _explain_syntax(line, error) from None
    except ValueError:
        raise Mistake("23", f"Cannot read {quote_text(line)}: it holds a character that is no text.") from None
    except (MemoryError, RecursionError):
        raise _too_deep() from None
    _check_depth(tree)
    if any(isinstance(node, (ast.Set, ast.Dict)) for node in ast.walk(tree)):
        raise _explain_braces(tree, line)
    return tree


def _check_limits(line: str) -> None:
    if len(line) > MAX_CHARACTERS:
        raise Mistake("24", f"The value {quote_text(line, 40)} has more than {MAX_CHARACTERS} characters.")
    plain = _QUOTED.sub("''", line)
    if "#" in plain:
        raise Mistake("23", f"Cannot read {quote_text(line)}: `#` begins a comment, and a value has none.")
    level = 0
    for letter in plain:
        level += (letter in "([{") - (letter in ")]}")
        if level > MAX_LEVELS:
            raise _too_deep()


def _check_depth(tree: ast.expr) -> None:
    """Walk without recursion; the left side of `a + b + c` is a chain and not a level."""
    waiting: list[tuple[ast.AST, int, int]] = [(tree, 0, 0)]
    while waiting:
        node, level, chain = waiting.pop()
        if level > MAX_LEVELS:
            raise _too_deep()
        if chain > _MAX_CHAIN:
            raise Mistake("24", f"The value has more than {_MAX_CHAIN} operators in a row.")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.expr_context, ast.operator, ast.unaryop, ast.cmpop, ast.boolop)):
                continue
            left = isinstance(node, ast.BinOp) and child is node.left and isinstance(child, ast.BinOp)
            leaf = isinstance(child, (ast.Name, ast.Constant))
            waiting.append((child, level if left or leaf else level + 1, chain + 1 if left else 0))


def _too_deep() -> Mistake:
    return Mistake("24", f"The value nests more than {MAX_LEVELS} levels deep.")


def _explain_syntax(line: str, error: SyntaxError) -> Mistake:
    plain = _QUOTED.sub("''", line)
    if _SIZE_IN.search(plain):
        return unknown_size("in")
    for word in re.findall(r"[A-Za-z_]\w*", plain):
        if keyword.iskeyword(word) and word not in _LANGUAGE_KEYWORDS:
            return Mistake("22", f"`{word}` is a word of Python's grammar and cannot be a name. Choose another.")
    column = f" at column {error.offset}" if error.offset else ""
    return Mistake("23", f"Cannot read {quote_text(line)}: {error.msg}{column}.")


class _WithoutBraces(ast.NodeTransformer):
    """Replaces `{l}` and `{l:int}` by `l`."""

    def visit_Set(self, node: ast.Set) -> ast.AST:
        return node.elts[0] if len(node.elts) == 1 else node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        return node.keys[0] or node if len(node.keys) == 1 else node


def _explain_braces(tree: ast.expr, line: str) -> Mistake:
    written = ast.unparse(_WithoutBraces().visit(tree))
    if "{" in _QUOTED.sub("''", written):
        return Mistake("40", f"Cannot read {quote_text(line)}: a right side has no braces.")
    return Mistake("40", f"On the right a capture is written without braces. Write {written}")


def unknown_size(word: str) -> Mistake:
    """Error 52, for `in` and `out`: torch's layouts do not agree on what they are."""
    return Mistake("52", f"`{word}` is not a word here. The sizes of a site are d0, d1, ….")
