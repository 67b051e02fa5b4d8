"""Docstrings of Python files: what counts as a summary and a body, and what no file can do to the reader."""

import sys

import pytest

from lightning_tying.data.corpus import CONTEXT_END, split_of
from lightning_tying.data.docstring_files import find_python_files, read_docstrings, split_docstring
from lightning_tying.errors import ConfigError

MODULE = '''
"""Things that are summed up.

This module holds them.
"""
raise RuntimeError("was run")

class Thing:
    """A thing that one has.

    It is kept.
    """

    def keep(self):
        """Keep it for a while.

        Parameters
        ----------
        none : of them
        """
        def inside():
            """Do it inside somewhere.

            Nobody sees this.
            """

if True:
    async def later():
        """Keep it for later on.

        It waits.
        """

def short():
    """Too short.

    But it has a body.
    """

def alone():
    """A summary without a body."""
'''


def test_every_docstring_with_both_parts_is_found(tmp_path):
    (tmp_path / "things.py").write_text(MODULE)
    found = read_docstrings([(tmp_path / "things.py", "pack/things.py")])
    assert {key.partition(CONTEXT_END)[0]: (found["body"][key], text) for key, text in found["summary"].items()} == {
        "": ("This module holds them.", "Things that are summed up."),
        "Thing": ("It is kept.", "A thing that one has."),
        "Thing.keep": ("Parameters none : of them", "Keep it for a while."),
        "Thing.keep.inside": ("Nobody sees this.", "Do it inside somewhere."),
        "later": ("It waits.", "Keep it for later on."),
    }
    assert len({split_of(key) for key in found["summary"]}) == 1, "one file is in one split"


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        ("Add two\nnumbers up.\n\nThey are\n  whole.", ("Add two numbers up.", "They are whole.")),
        ("Add two numbers.\n\nExamples\n--------\n>>> add(1,\n...     2)\n3\n4\n\nEnd.",
         ("Add two numbers.", "Examples End.")),
        ("Add two numbers.", ("Add two numbers.", "")),
        ("Add.\n\nBody.", ("", "Body.")),
        (" ".join(["word"] * 25) + "\n\nBody.", ("", "Body.")),
        ("Parameters here\n----------\nx : int\n\nBody.", ("", "Body.")),
        ("Ends on a \ud800 half.\n\nSo \udfff too.", ("Ends on a ? half.", "So ? too.")),
        ("", ("", "")),
    ],
)  # fmt: skip
def test_split(docstring, expected):
    assert split_docstring(docstring) == expected


def test_tests_and_hidden_folders_are_left_out(tmp_path):
    for place in ("a.py", "b/c.py", "tests/d.py", "b/test/e.py", ".git/f.py", "b/g.pyi", "b/testing.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in find_python_files(tmp_path)]
    assert found == ["a.py", "b/c.py", "b/testing.py"]


@pytest.mark.parametrize(
    "content",
    [b"print 'Python 2'", b"x = '\0'", b"# coding: no-such\n", b"\xff\xfe", b"(" * 5000, b"-" * 100_000 + b"1", b""],
)
def test_what_is_no_python_is_left_out(tmp_path, content):
    (tmp_path / "bad.py").write_bytes(content)
    assert read_docstrings([(tmp_path / "bad.py", "bad.py")]) == {"body": {}, "summary": {}}


def test_deep_code_is_walked_without_recursion(tmp_path):
    lines = [f"{' ' * level}class C{level}:" for level in range(90)]
    inner = f'{" " * 90}"""Sum up the depth.\n\n{" " * 90}Below all.\n{" " * 90}"""'
    (tmp_path / "deep.py").write_text("\n".join([*lines, inner]))
    limit = sys.getrecursionlimit()
    found = read_docstrings([(tmp_path / "deep.py", "deep.py")])
    assert list(found["summary"].values()) == ["Sum up the depth."] and sys.getrecursionlimit() == limit


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.py cannot be read: No such file"):
        read_docstrings([(tmp_path / "gone.py", "gone.py")])
