"""What PyYAML did not like in, the message that says what to write instead out (errors 1, 2 and 15)."""

from __future__ import annotations

import re

from yaml import YAMLError
from yaml.error import MarkedYAMLError
from yaml.reader import ReaderError

from lightning_tying.errors import Location, Problem
from lightning_tying.spec.yaml_text import quote_yaml

_BEGINNING = re.compile(r"^\s*(?P<dash>-\s+)?(?P<key>[A-Za-z_]\w*:\s+)?(?P<text>[*{\[&!%@`|>].*)$")
_QUOTED_PART = re.compile(
    r"^(?P<before>\s*(?:-\s+)?(?:[A-Za-z_]\w*:\s+)?)(?P<quote>['\"])(?P<inside>[^'\"]*)(?P=quote)(?P<rest>[^:#]*)$"
)
_OPENING, _CLOSING = "([{", ")]}"


def explain_yaml_error(error: YAMLError, text: str, source: str | None) -> Problem:
    """One problem with the line, the reason and, where it can be known, the line to write."""
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return Problem(
            "2", Location(source, line), "The YAML cannot be read: it holds a character that is not printable."
        )
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    if not isinstance(error, MarkedYAMLError) or mark is None:
        return Problem("2", Location(source, 1), f"The YAML cannot be read: {error}.")
    lines = text.splitlines() or [""]
    row = min(mark.line, len(lines) - 1)
    place = Location(source, row + 1)
    explained = (
        _explain_tab(error.problem or "")
        or _explain_quote(lines[row], error.problem or "")
        or _explain_bracket(lines[row], mark.column)
        or _explain_option(lines, row, error.problem or "")
        or _explain_sign(lines[row], error.problem or "")
    )
    if explained is not None:
        return Problem(explained[0], place, explained[1])
    reason = ", ".join(part for part in (error.context, error.problem) if part)
    return Problem("2", place, f"The YAML cannot be read: {reason}. Quote a text that holds `: ` or ` #`.")


def explain_beginning(line: str) -> tuple[str, str] | None:
    """Error 1: a text that begins with a sign of YAML's must be quoted."""
    found = _BEGINNING.match(line)
    if found is None:
        return None
    written, sign = _strip_comment(found["text"]), found["text"][0]
    before = found["key"] or found["dash"] or ""
    what = "An entry" if found["dash"] and not found["key"] else "A text"
    return "1", f"{what} that begins with `{sign}` must be quoted. Write {before.strip()} {quote_yaml(written)}".strip()


def _explain_sign(line: str, problem: str) -> tuple[str, str] | None:
    """Error 1, but for a bracket only where text follows it: one that is not closed is another mistake."""
    found = _BEGINNING.match(line)
    bracket = found is not None and found["text"][0] in "{["
    return None if bracket and not problem.startswith("expected <block end>") else explain_beginning(line)


def _explain_tab(problem: str) -> tuple[str, str] | None:
    if "'\\t'" not in problem:
        return None
    return "2", "The YAML cannot be read: a tab stands where YAML takes spaces only. Write spaces."


def _explain_quote(line: str, problem: str) -> tuple[str, str] | None:
    """A quote that does not hold the whole text, or has no end."""
    if "unexpected end of stream" in problem:
        return "2", "The YAML cannot be read: a quote has no end. Close it, or leave it out."
    found = _QUOTED_PART.match(line)
    if found is None or not problem.startswith("expected <block end>"):
        return None
    written = quote_yaml(found["inside"] + _strip_comment(found["rest"]))
    return "1", f"Quotes hold the whole text or none of it. Write {found['before'].strip()} {written}"


def _strip_comment(text: str) -> str:
    return re.split(r"\s#", text)[0].rstrip()


def _explain_bracket(line: str, column: int) -> tuple[str, str] | None:
    """Error 2: inside { } and [ ] a bracket ends an unquoted text."""
    if column >= len(line) or line[column] not in "{[":
        return None
    start = max(line.rfind(sign, 0, column) for sign in "{[,") + 1
    before = line[start:column].lstrip()
    if not start or not before:
        return None
    key, colon, beginning = before.rpartition(": ")
    text = beginning + line[column : _find_end(line, column)].rstrip()
    outer = "[ ]" if line[start - 1] == "[" else "{ }"
    rule = f"inside {outer} a text with `{{` or `[` must be quoted. Write {key}{colon}{quote_yaml(text)}"
    return "2", f"The YAML cannot be read at `{beginning}{line[column]}`: {rule}"


def _find_end(line: str, column: int) -> int:
    """Where an unquoted text ends that began inside { } or [ ]: at the comma or bracket that is not its own."""
    level = 0
    for place in range(column, len(line)):
        level += (line[place] in _OPENING) - (line[place] in _CLOSING)
        if level < 0 or (level == 0 and line[place] == ","):
            return place
    return len(line)


def _explain_option(lines: list[str], row: int, problem: str) -> tuple[str, str] | None:
    """Error 15: an option below an entry of one line."""
    option = re.match(r"^\s+([a-z_]+):(\s.*)?$", lines[row])
    if not problem.startswith(("mapping values are not allowed", "expected <block end>")) or option is None:
        return None
    entry = next((line for line in reversed(lines[:row]) if line.lstrip().startswith("- ")), "")
    sites, equals, value = entry.strip().removeprefix("- ").partition("=")
    if not equals:
        return None
    written = f"sites: {sites.strip()}, equals: {_strip_comment(value).strip()}, {_strip_comment(lines[row]).strip()}"
    return "15", f"`{option[1]}` cannot follow a one-line equation. Write it as a mapping: {written}."
