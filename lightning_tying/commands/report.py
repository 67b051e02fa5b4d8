"""`lightning-tying report`: the folder of a run goes in; how well the uses of what it shares agreed comes out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning_tying.commands.options import take_option, take_value
from lightning_tying.errors import ConfigError
from lightning_tying.reports.page import write_page
from lightning_tying.reports.stability.history import FILE_NAME, History, read_history

FORMATS = ("html", "text", "json")
PAGE = "stability.html"
SHARING = "sharing.json"
USAGE = """\
usage: lightning-tying report RUN_DIR [--format html|text|json] [--output FILE]

Says how well the uses of each shared parameter agreed while a run trained, and what to change; the worst first. It
reads what the run wrote: stability.jsonl, of the callback GradientStability, and sharing.json.

  --format FORMAT    html (default): a page with pictures that opens without a network; text; json
  --output FILE      where it goes: RUN_DIR/stability.html for html, standard output for text and json"""


def report(words: list[str]) -> int:
    """Write or print the report of a run.

    Raises:
        ConfigError: there is no such folder, the run measured nothing, or a file cannot be read or written.
    """
    if not words or words in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    words, chosen = take_option(words, "--format", FORMATS)
    words, output = take_value(words, "--output")
    folder = _only_folder(words)
    history, savings = read_run(folder)
    chosen = chosen or "html"
    target = Path(output) if output else folder / PAGE if chosen == "html" else None
    content = _render(history, savings, chosen)
    if target is None:
        print(content)
    else:
        _write(content, target)
    return 0


def read_run(folder: Path) -> tuple[History, Mapping[str, Any] | None]:
    """What a run wrote.

    Args:
        folder: of the run.

    Returns:
        Its records, with notes about what could not be read, and the savings of `sharing.json`, if there are any.

    Raises:
        ConfigError: nothing was measured.
    """
    file = folder / FILE_NAME
    if not file.is_file():
        raise ConfigError(
            f"{folder} has no {FILE_NAME}. Train with the callback lightning_tying.callbacks.GradientStability, or "
            "give the folder of a run that had it."
        )
    history = read_history(file)
    if not history.records:
        more = "".join(f" {note}" for note in history.notes)
        raise ConfigError(f"{file} has no records: the run ended before its first sample.{more}")
    savings, note = _read_savings(folder / SHARING)
    return History(history.records, (*history.notes, *note)), savings


def _read_savings(path: Path) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """The savings; a note instead of an error, since the report is of use without them."""
    if not path.is_file():
        return None, ()
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        savings: Any = content["savings"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        savings = None
    if isinstance(savings, dict):
        return cast("Mapping[str, Any]", savings), ()
    return None, (f"{path.name} cannot be read; the report goes without the savings.",)


def _only_folder(words: list[str]) -> Path:
    if not words or words[0].startswith("-"):
        raise ConfigError("report wants the folder of a run first: lightning-tying report runs/RUN")
    if len(words) > 1:
        raise ConfigError(f"report does not know {words[1]}. See `lightning-tying report --help`.")
    folder = Path(words[0])
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder." if folder.exists() else f"There is no folder {folder}.")
    return folder


def _render(history: History, savings: Mapping[str, Any] | None, chosen: str) -> str:
    if chosen == "html":
        from lightning_tying.reports.stability.html import render_report  # heavy: matplotlib

        return render_report(history, savings)
    from lightning_tying.reports.stability.text import to_data, write_text  # only for these formats

    if chosen == "json":
        return json.dumps(to_data(history, savings), indent=1, ensure_ascii=False)
    return write_text(history, savings)


def _write(content: str, target: Path) -> None:
    if target.is_dir():
        raise ConfigError(f"{target} is a folder; --output names a file.")
    write_page(content if content.endswith("\n") else f"{content}\n", target)
    print(f"written: {target} ({target.stat().st_size:,} bytes)")
