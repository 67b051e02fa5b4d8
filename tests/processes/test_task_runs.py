"""A tied LanguageModeling from `fit` through its checkpoint into fresh processes, and on two of them."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts

WORKER = Path(__file__).with_name("task_worker.py")
WORDS = {"en": "the file was not found in this folder", "de": "die Datei wurde im Ordner nicht gefunden"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    for language, words in WORDS.items():
        parts = words.split()
        lines = [" ".join(parts[(i * k) % len(parts)] for k in range(1, 6)) + f" {i}" for i in range(150)]
        (folder / f"{language}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _run(
    command: str, out: Path, texts: Path, *, checkpoint: Path | None = None, steps: int = 6, devices: int = 1,
    batch: int = 4,
) -> list[dict[str, Any]]:  # fmt: skip
    out.mkdir()
    arguments = (command, out, texts, texts.parent / "cache", checkpoint or "none", steps, devices, batch)
    words = [str(WORKER), *map(str, arguments)]
    if devices > 1:
        starts.run_ranks(words, out, timeout=240, size=devices)
    else:
        done = starts.run(words, timeout=240)
        assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in range(devices)]


@pytest.fixture(scope="module")
def whole(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, _run("fit", out, texts)[0]


def _assert_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, weight in one.items():
        assert torch.equal(weight, other[name]), name


def test_a_fresh_process_tests_predicts_and_loads_the_same(
    texts: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, fitted = whole
    used = _run("use", tmp_path / "use", texts, checkpoint=out / "last.ckpt")[0]
    assert fitted["tied"] and used["tied"] and used["loaded"]["tied"] and used["own"]["tied"]
    _assert_equal(fitted["weights"], used["loaded"]["weights"])
    _assert_equal(fitted["weights"], used["weights"])
    assert fitted["tested"] and used["tested"] == fitted["tested"] == used["own"]["tested"]
    assert fitted["texts"] and used["texts"] == fitted["texts"] == used["own"]["texts"]


def test_a_run_resumed_in_a_fresh_process_ends_like_the_whole_one(
    texts: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, fitted = whole
    half = _run("fit", tmp_path / "half", texts, steps=3)[0]
    rest = _run("fit", tmp_path / "rest", texts, checkpoint=tmp_path / "half" / "last.ckpt", steps=6)[0]
    assert half["losses"] == fitted["losses"][:3] and rest["losses"] == fitted["losses"][3:]
    assert rest["step"] == 6 and rest["tied"]
    _assert_equal(fitted["weights"], rest["weights"])


def test_the_file_holds_each_shared_parameter_once(whole: tuple[Path, dict[str, Any]]) -> None:
    out, fitted = whole
    checkpoint = torch.load(out / "last.ckpt", weights_only=True)
    weights = {key: value for key, value in checkpoint["state_dict"].items() if key.startswith("network.")}
    places = {weight.untyped_storage().data_ptr() for weight in weights.values()}
    assert len(places) == len(fitted["weights"]) < len(weights)
    assert weights["network.head.weight"].data_ptr() == weights["network.embed.weight"].data_ptr()
    with zipfile.ZipFile(out / "last.ckpt") as archive:
        tensors = sum(e.file_size for e in archive.infolist() if e.filename.split("/")[1] == "data")
    parameters = sum(weight.nbytes for weight in fitted["weights"].values())
    steps = 4 * len(fitted["weights"])
    assert 3 * parameters + steps <= tensors < 3 * parameters + steps + 20_000  # AdamW's two moments; metrics


def test_two_processes_train_one_model(texts: Path, tmp_path: Path) -> None:
    first, second = _run("fit", tmp_path / "run", texts, devices=2, batch=2)
    assert first["tied"] and second["tied"] and first["losses"] != second["losses"]
    _assert_equal(first["weights"], second["weights"])
    single = _run("fit", tmp_path / "single", texts, batch=4)[0]
    for name, weight in first["weights"].items():
        torch.testing.assert_close(weight, single["weights"][name], rtol=1e-3, atol=1e-4)
