"""README.md and every page of docs/ are executed: Python, files that a page writes, and commands.

A fenced block ```` ```python ```` is run (as doctest where it begins with `>>>`); a block with a title, such as
```` ```yaml title="sharing.yaml" ````, is written to that file of an empty working folder; in a block
```` ```console ```` each line `$ lightning-tying …` is run as a process and its output compared, `...` standing for
anything. `$ echo $?` shows another exit status than 0. Blocks of any other kind are for reading only.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer, RawFencedCodeBlockLexer

from lightning_tying.algebra.registry import _REGISTERED
from lightning_tying.spec.functions import FUNCTIONS
from tests import starts

ROOT = Path(__file__).parents[2]
PAGES = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.exists()]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
TITLED = RawFencedCodeBlockLexer(re.compile(r'(?P<language>\w+) title="(?P<title>[^"]+)"$\n', re.MULTILINE))
CONSOLE = FencedCodeBlockLexer("console")


def write_file(example: Example) -> str | None:
    """Write a titled block to the file that it is titled with."""
    path = Path(example.region.lexemes["title"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(example.region.lexemes["source"], encoding="utf-8")
    return None


def split_console(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the output that the page shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = re.sub(r"\\\n\s*", "", part).partition("\n")
        yield command, output


def run_console(example: Example) -> str | None:
    """Run the commands of a block; the text of the first difference, or None."""
    commands = list(split_console(example.region.lexemes["source"]))
    for number, (command, wanted) in enumerate(commands):
        if command == "echo $?":
            continue
        following = commands[number + 1 : number + 2]
        status = int(following[0][1]) if following and following[0][0] == "echo $?" else 0
        program, *arguments = shlex.split(command, comments=True)
        assert program == "lightning-tying", f"a console block runs lightning-tying, not {program}"
        done = starts.run(["-m", "lightning_tying.cli", *arguments], timeout=240, merged=True)
        if done.returncode != status:
            return f"$ {command}\nended with {done.returncode}, not {status}:\n{done.stdout}"
        shown = doctest.Example("", wanted)
        if wanted.strip() and not doctest.OutputChecker().check_output(wanted, done.stdout, FLAGS):
            return f"$ {command}\n{doctest.OutputChecker().output_difference(shown, done.stdout, FLAGS)}"
    return None


def read_files(document: Document) -> Iterable[Region]:
    for region in TITLED(document):
        region.evaluator, region.parsed = write_file, region.lexemes["source"]
        yield region


def read_console(document: Document) -> Iterable[Region]:
    for region in CONSOLE(document):
        region.evaluator, region.parsed = run_console, region.lexemes["source"]
        yield region


def parse(page: Path) -> list[Example]:
    sybil = Sybil(parsers=[PythonCodeBlockParser(doctest_optionflags=FLAGS), read_files, read_console])
    return list(sybil.parse(page).examples())


@pytest.fixture
def own_functions() -> Iterator[None]:
    """What a page registers is forgotten: the tests of one process must not find each other's functions."""
    kept = [(names, dict(names)) for names in (FUNCTIONS, _REGISTERED)]
    yield
    for names, before in kept:
        names.clear()
        names.update(before)


@pytest.mark.usefixtures("own_functions")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = parse(page)
    if not examples:
        pytest.skip("nothing to run on this page")
    monkeypatch.chdir(tmp_path)
    for example in examples:
        example.evaluate()


def test_a_wrong_output_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    (example,) = parse(page)
    with pytest.raises(AssertionError, match="line 2"):
        example.evaluate()


def test_a_wrong_exit_status_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```console\n$ lightning-tying --help\n$ echo $?\n2\n```\n", encoding="utf-8")
    (example,) = parse(page)
    with pytest.raises(AssertionError, match="not 2"):
        example.evaluate()
