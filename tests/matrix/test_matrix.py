"""A fast part of the equivalence matrix (all of it: `make matrix`), and what makes a cell fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.matrix.by_hand import train_by_hand
from tests.matrix.cases import CASES
from tests.matrix.matrix import make_cell
from tests.matrix.modes import MODES, REFERENCES
from tests.matrix.outcome import Outcome, compare, read_outcome
from tests.matrix.runs import check_checkpoint, first_weights, run_mode
from tests.matrix.table import BY_HAND, TOLERANCES, Cell, make_page
from tests.matrix.task import CLIP, STEPS
from tests.matrix.worker import train

IN_PROCESS = {"accumulate": ("delta", "lstm"), "bf16": ("cycle", "rows"), "lazy": ("three-way", "mix")}
PROCESSES = {
    "ddp": ("three-way", "delta", "hadamard"),
    "fsdp2": ("cycle", "transposed", "lstm"),
    "tp": ("cycle", "mix", "rows"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("reference")
    for name in CASES:
        train(REFERENCES["single"], name, folder, folder)
    return folder


def _read(folder: Path, name: str, mode: str = "single") -> Outcome:
    kind = MODES[mode]
    outcome = read_outcome(folder, name, kind.processes, kind.accumulate)
    assert outcome is not None
    return outcome


def _check(name: str, mode: str, found: Outcome, folder: Path, out: Path) -> None:
    cell = make_cell(name, found, _read(folder, name), out)
    assert not cell.refusal, cell.refusal
    assert cell.passes(TOLERANCES[mode]), cell


@pytest.mark.parametrize("name", CASES)
def test_one_process_equals_plain_torch(name: str, folder: Path) -> None:
    reference = _read(folder, name)
    assert not reference.faults and len(reference.losses) == STEPS
    assert reference.losses[-1] < reference.losses[0]
    difference = compare(train_by_hand(CASES[name], first_weights(name)), reference, graphs=False)
    assert difference.worst <= TOLERANCES[BY_HAND] and not difference.faults


def test_gradients_are_clipped_in_most_cases(folder: Path) -> None:
    clipped = [name for name in CASES if _read(folder, name).norms.max() > CLIP]
    assert len(clipped) > len(CASES) / 2


@pytest.mark.parametrize(("mode", "name"), [(mode, name) for mode, names in IN_PROCESS.items() for name in names])
def test_a_mode_of_one_process_trains_alike(mode: str, name: str, folder: Path, tmp_path: Path) -> None:
    train(MODES[mode], name, tmp_path, folder)
    _check(name, mode, _read(tmp_path, name, mode), folder, tmp_path)


def test_a_compiled_task_trains_alike(folder: Path, tmp_path: Path) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    train(MODES["compile"], "two-tower", tmp_path, folder)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    _check("two-tower", "compile", _read(tmp_path, "two-tower"), folder, tmp_path)


@pytest.mark.parametrize("mode", PROCESSES)
def test_several_processes_train_alike(mode: str, folder: Path, tmp_path: Path) -> None:
    found = run_mode(mode, PROCESSES[mode], tmp_path, folder, seconds=200)
    for name, outcome in found.items():
        _check(name, mode, outcome, folder, tmp_path)


@pytest.mark.parametrize("name", CASES)
def test_a_resumed_run_ends_with_the_same_bits(name: str, folder: Path, tmp_path: Path) -> None:
    half = STEPS // 2
    train(REFERENCES["single"], name, tmp_path, folder, steps=half)
    assert len(_read(tmp_path, name).losses) == half
    train(REFERENCES["single"], name, tmp_path, folder, resume=tmp_path / f"{name}.ckpt")
    resumed, reference = _read(tmp_path, name), _read(folder, name)
    assert torch.equal(resumed.losses, reference.losses[half:])
    for key, weight in reference.weights.items():
        assert torch.equal(weight, resumed.weights[key]), key
    assert resumed.graph == reference.graph


def test_a_run_that_differs_does_not_pass(folder: Path) -> None:
    reference = _read(folder, "cycle")
    norms = replace(reference, norms=reference.norms * 1.01)
    assert compare(norms, reference).norms == pytest.approx(0.01, rel=1e-3)
    weights = {key: weight + (key == "E") * 0.01 for key, weight in reference.weights.items()}
    assert compare(replace(reference, weights=weights), reference).weights > 1e-3
    assert compare(replace(reference, graph=("other",)), reference).faults == ("another graph",)
    assert compare(replace(reference, losses=reference.losses * float("nan")), reference).losses == float("inf")
    fewer = {key: weight for key, weight in reference.weights.items() if key != "E"}
    assert compare(replace(reference, weights=fewer), reference).faults == ("other parameters",)
    assert (
        check_checkpoint("cycle", folder, replace(reference, weights=weights)) == "its checkpoint has other values of E"
    )


def test_ranks_that_part_are_found(folder: Path, tmp_path: Path) -> None:
    content = torch.load(folder / "cycle.rank0.pt", weights_only=True)
    torch.save(content, tmp_path / "cycle.rank0.pt")
    content["weights"]["E"] = content["weights"]["E"] + 1
    torch.save(content | {"ties": [], "held_once": False}, tmp_path / "cycle.rank1.pt")
    outcome = _read(tmp_path, "cycle", "ddp")
    assert set(outcome.faults) == {
        "the optimizer does not hold each parameter once", "ranks end with other weights", "ranks have other graphs",
    }  # fmt: skip


def test_the_page_shows_differences_refusals_and_failures(folder: Path) -> None:
    equal = compare(_read(folder, "cycle"), _read(folder, "cycle"))
    far = replace(equal, losses=0.5)
    page = make_page({
        "cycle": {"single": Cell(equal), "ddp": Cell(far), "tp": Cell(refusal="refused: Net has no plan for it.")}
    })  # fmt: skip
    assert "| exact | **5e-01** | n/a: no plan |" in page
    assert "* cycle of two blocks, embedding = head, TP ×2: refused: Net has no plan for it." in page
    assert not Cell(far).passes(TOLERANCES["ddp"]) and not Cell(refusal="failed: …").passes(1.0)
