"""A checkpoint of one strategy resumed under another: the rest of the run is that of the run without interruption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import starts
from tests.processes.checkpoint_sizes import measure_tensors
from tests.processes.resume_worker import SAVED, STEPS, Job, run
from tests.slow import SLOW

WORKER = Path(__file__).with_name("resume_worker.py")
STRATEGIES = ("single", "ddp", "full", "sharded")

PAIRS = [(source, target) for source in STRATEGIES for target in STRATEGIES if (source, target) != ("sharded", "ddp")]
SOME = [("single", "full"), ("ddp", "sharded"), ("full", "single"), ("full", "ddp"), ("sharded", "full")]


@pytest.fixture(scope="module", params=["derived", "aliases"] if SLOW else ["derived"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Every run of one spec by name: `single`, and `ddp>full` for what ddp saved and full sharding resumed."""
    out, spec = tmp_path_factory.mktemp("resume"), request.param
    files = {name: str(out / f"{name}.ckpt") for name in STRATEGIES}
    pairs = [pair for pair in (PAIRS if SLOW else SOME) if pair != ("sharded", "single")]  # refused, by a test below
    starts = [Job(name=s, spec=spec, strategy=s, start=None, save=files[s]) for s in STRATEGIES]
    rest = [Job(name=f"{s}>{t}", spec=spec, strategy=t, start=files[s], save=None) for s, t in pairs]
    found = {"single": run(starts[0])} | run_pair(
        out, starts[1:] + [job for job in rest if job["strategy"] != "single"]
    )
    sizes = {name: measure_tensors(Path(path)) for name, path in files.items()}
    alone = {job["name"]: run(job) for job in rest if job["strategy"] == "single"}
    return found | alone | {"sizes": sizes}


def run_pair(out: Path, jobs: list[Job]) -> dict[str, dict[str, Any]]:
    """Two processes that do the same jobs; the losses are those of the global batches."""
    starts.run_ranks([str(WORKER), str(out), json.dumps(jobs)], out, timeout=240)
    return {job["name"]: _join(out, job["name"]) for job in jobs}


def _join(out: Path, name: str) -> dict[str, Any]:
    first, second = (torch.load(out / f"{name}.{rank}.pt", weights_only=True) for rank in "01")
    losses = [(one + other) / 2 for one, other in zip(first["losses"], second["losses"], strict=True)]
    return {**first, "losses": losses}


def test_every_resumed_run_ends_like_the_one_without_interruption(results: dict[str, dict[str, Any]]) -> None:
    whole = results["single"]
    runs = {name: found for name, found in results.items() if name != "sizes"}
    assert len(whole["losses"]) == STEPS and len(runs) >= 4 + len(SOME)
    for name, found in runs.items():
        expected = whole["losses"][SAVED:] if ">" in name else whole["losses"]
        assert found["losses"] == pytest.approx(expected, rel=1e-5), name
        for part in ("weights", "moments"):
            assert found[part].keys() == whole[part].keys(), (name, part)
            for key, value in found[part].items():
                torch.testing.assert_close(value, whole[part][key], rtol=1e-3, atol=1e-5, msg=f"{name} {part} {key}")


def test_every_file_holds_each_tensor_once(results: dict[str, dict[str, Any]]) -> None:
    whole = results["single"]
    once = sum(each.nbytes for part in ("weights", "moments") for each in whole[part].values())
    assert {name: size for name, (size, _) in results["sizes"].items()} == dict.fromkeys(STRATEGIES, once)
