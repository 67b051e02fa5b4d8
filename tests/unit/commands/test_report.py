"""`lightning-tying report`: what a run wrote in, a page, text or JSON out; bad input is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_tying.cli import main
from lightning_tying.reports.stability.history import append_records
from tests.unit.reports.stability.samples import opposed, record

SHARING = {"plan": None, "savings": {"before": {"parameters": 400}, "after": {"parameters": 100}}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    append_records(folder / "stability.jsonl", [record(step, "block[q]", opposed(4, step)) for step in (0, 50, 100)])
    (folder / "sharing.json").write_text(json.dumps(SHARING))
    return folder


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_page_lies_in_the_run(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(run)]) == 0
    page = (run / "stability.html").read_text()
    assert "400 -&gt; 100 parameters (75 % saved)" in page and "conflict in 100 % of samples" in page
    assert f"written: {run / 'stability.html'}" in capsys.readouterr().out
    assert files(run) == {"stability.jsonl", "sharing.json", "stability.html"}


def test_text_and_json_go_to_standard_output_or_to_a_file(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["report", str(run), "--format", "text"]) == 0
    text = capsys.readouterr().out
    assert "consider cycle(l, 2)" in text and "75 % saved" in text
    assert main(["report", "--format=json", str(run)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["groups"][0]["group"] == "block[q]" and content["savings"] == SHARING["savings"]
    assert main(["report", str(run), "--format", "text", "--output", str(tmp_path / "new" / "r.txt")]) == 0
    assert (tmp_path / "new" / "r.txt").read_text() == text
    assert "stability.html" not in files(run)


def test_half_a_line_at_the_end_is_left_out_with_a_note(run: Path, capsys: pytest.CaptureFixture[str]):
    path = run / "stability.jsonl"
    path.write_text(path.read_text() + '{"step": 150, "gro')
    assert main(["report", str(run), "--format", "text"]) == 0
    assert "note: stability.jsonl:4: the last line is broken off" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{", "[]", '{"savings": 3}', "{}", "\x00"])
def test_without_readable_savings_the_report_goes_without(run: Path, content: str, capsys: pytest.CaptureFixture[str]):
    (run / "sharing.json").write_text(content)
    assert main(["report", str(run), "--format", "text"]) == 0
    found = capsys.readouterr().out
    assert "saved)" not in found and "note: sharing.json cannot be read" in found
    (run / "sharing.json").unlink()
    assert main(["report", str(run), "--format", "text"]) == 0
    assert "note:" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["report", *words]) == 0
    assert "usage: lightning-tying report RUN_DIR" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{run}/none"], "There is no folder {run}/none."),
        (["{run}/sharing.json"], "{run}/sharing.json is no folder."),
        (["{run}", "--format", "pdf"], "--format is one of html, text, json, not pdf."),
        (["{run}", "--output"], "--output needs a value."),
        (["{run}", "--output", "{run}"], "{run} is a folder; --output names a file."),
        (["{run}", "--output", "{run}/sharing.json/x"], "cannot be written"),
        (["{run}", "--what"], "report does not know --what."),
        (["--format", "text"], "report wants the folder of a run first"),
    ],
)
def test_bad_words_are_one_sentence(run: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    before = files(run)
    assert main(["report", *(word.replace("{run}", str(run)) for word in words)]) == 2
    shown = capsys.readouterr()
    assert told.replace("{run}", str(run)) in shown.err and len(shown.err.splitlines()) == 1 and not shown.out
    assert files(run) == before


def test_a_folder_without_measurements_says_which_callback_makes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["report", str(tmp_path)]) == 2
    assert "has no stability.jsonl. Train with the callback" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "\n\n", '{"step": 0'])
def test_a_run_that_ended_before_its_first_sample(run: Path, content: str, capsys: pytest.CaptureFixture[str]):
    (run / "stability.jsonl").write_text(content)
    assert main(["report", str(run)]) == 2
    assert "has no records: the run ended before its first sample." in capsys.readouterr().err
    assert "stability.html" not in files(run)


def test_a_broken_line_in_the_middle_is_named(run: Path, capsys: pytest.CaptureFixture[str]):
    lines = (run / "stability.jsonl").read_text().splitlines()
    (run / "stability.jsonl").write_text("\n".join([lines[0], "nonsense", lines[2]]) + "\n")
    assert main(["report", str(run)]) == 2
    assert "stability.jsonl:2: not a record" in capsys.readouterr().err
    assert "stability.html" not in files(run)
