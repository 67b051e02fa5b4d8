"""Records as lines: what is written is read again; what a killed or resumed run leaves is put right."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_tying.errors import ConfigError
from lightning_tying.reports.stability.history import append_records, read_history
from lightning_tying.reports.stability.record import Record, make_record
from lightning_tying.reports.stability.rows import measure_rows
from lightning_tying.reports.stability.running import RunningStability
from tests.unit.reports.stability.samples import measure, opposed, record

FULL = make_record(
    50,
    "block[q, 2]",
    replace(measure(opposed(3, 0)), cosine_error=0.1, site_norms=(1.0, 2.0, 3.0)),
    over_time=RunningStability().update(measure(opposed(3, 0))),
    update_to_weight=0.01,
    rows=measure_rows(torch.ones(3, 4), torch.ones(4), {"de": [0, 1], "en": [3]}),
)


def test_a_record_holds_what_was_measured():
    assert FULL.uses == ("layers.0.fc.weight", "layers.1.fc.weight", "layers.2.fc.weight")
    assert (FULL.pairs, FULL.cosine_error, FULL.site_norms) == ("sketch", 0.1, (1.0, 2.0, 3.0))
    assert FULL.conflict == pytest.approx(2 / 3) and FULL.cosines is not None
    assert FULL.rows["de"].rows == 2
    assert record(1, "W", opposed(3, 0)).pairs == "exact"
    alone = make_record(1, "W", measure(opposed(3, 0), pairs=False))
    assert (alone.pairs, alone.cosines) == ("none", None) and math.isnan(alone.conflict)


def test_a_line_is_json_without_nan_and_reads_back():
    line = FULL.to_json()
    assert "\n" not in line and "NaN" not in line and "Infinity" not in line
    again = Record.from_json(line)
    assert again.to_json() == line
    assert (again.uses, again.group, again.rows.keys()) == (FULL.uses, FULL.group, FULL.rows.keys())
    assert again.norms == pytest.approx(FULL.norms, rel=1e-8)
    assert math.isnan(again.snr) and json.loads(line)["snr"] is None


def test_cosines_read_back_to_six_digits():
    gradients = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    gradients[3] = 0
    written = record(0, "W", gradients)
    again = Record.from_json(written.to_json())
    assert written.cosines is not None and again.cosines is not None
    for row, wanted in zip(again.cosines, written.cosines, strict=True):
        assert row == pytest.approx(wanted, abs=5.1e-7, nan_ok=True)
    assert again.conflict == pytest.approx(written.conflict)
    one_use = record(0, "W", gradients[:1])
    assert Record.from_json(one_use.to_json()).cosines == ((1.0,),)


def test_a_line_of_many_uses_stays_short():
    assert len(record(0, "W", torch.randn(48, 9)).to_json()) < 48 * 47 / 2 * 10 + 48 * 60


def test_a_record_that_is_not_finite_names_the_first_use():
    broken = opposed(3, 0)
    broken[1, 0] = math.nan
    found = Record.from_json(record(7, "W", broken).to_json())
    assert not found.finite and found.first_nonfinite == "layers.1.fc.weight"


NUMBER = st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(json.loads(FULL.to_json()))), NUMBER, st.booleans())
def test_a_spoiled_line_is_refused_or_read_and_never_a_traceback(key: str, value: object, removed: bool):
    content = json.loads(FULL.to_json())
    content = {k: v for k, v in content.items() if k != key} if removed else content | {key: value}
    with contextlib.suppress(ValueError, OverflowError):
        Record.from_json(json.dumps(content)).to_json()


@pytest.mark.parametrize("line", ["", "[]", "3", "{}", '{"step": 1}', "{", "\x00"])
def test_what_is_no_record_is_refused(line: str):
    with pytest.raises(ValueError):
        Record.from_json(line)


def test_keys_of_a_later_version_are_left_out():
    assert Record.from_json(json.dumps(json.loads(FULL.to_json()) | {"later": 1})).step == 50


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "stability.jsonl"
    append_records(path, [record(step, "W", opposed(3, step)) for step in (0, 50)])
    append_records(path, [record(100, "W", opposed(3, 100)), record(100, "V", opposed(2, 1))])
    return path


def test_records_are_added_at_the_end(file: Path):
    history = read_history(file)
    assert [(each.step, each.group) for each in history.records] == [(0, "W"), (50, "W"), (100, "W"), (100, "V")]
    assert history.notes == ()


@pytest.mark.parametrize("cut", [1, 2, 40])
def test_half_a_line_at_the_end_is_left_out_with_a_note_and_gone_at_the_next_write(file: Path, cut: int):
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut] if cut > 1 else whole[:-1] + b"\xff")
    history = read_history(file)
    assert len(history.records) == 3
    assert len(history.notes) == 1 and "stability.jsonl:4" in history.notes[0] and "left out" in history.notes[0]
    append_records(file, [record(150, "W", opposed(3, 2))])
    again = read_history(file)
    assert [(each.step, each.group) for each in again.records][-2:] == [(100, "W"), (150, "W")]
    assert again.notes == ()


def test_a_file_of_half_a_line_alone_is_begun_anew(tmp_path: Path):
    path = tmp_path / "stability.jsonl"
    path.write_bytes(b'{"step"' * 20000)
    append_records(path, [record(0, "W", opposed(3, 0))])
    assert len(read_history(path).records) == 1


def test_a_broken_line_before_the_last_is_an_error_that_names_it(file: Path):
    lines = file.read_text().splitlines()
    lines[1] = lines[1][:50]
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigError, match=r"stability.jsonl:2: not a record of GradientStability"):
        read_history(file)


def test_a_run_that_goes_on_measures_steps_again_and_the_later_line_counts(file: Path):
    append_records(file, [replace(record(50, "W", opposed(3, 0)), kappa=0.5)])
    found = [each for each in read_history(file).records if each.step == 50]
    assert [each.kappa for each in found] == [0.5]


def test_files_that_cannot_be_read_or_written_say_so(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_history(tmp_path / "none.jsonl")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        append_records(tmp_path / "file" / "stability.jsonl", [FULL])
