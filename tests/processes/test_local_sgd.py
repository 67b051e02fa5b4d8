"""Two gloo processes that train apart: rounds follow the formulas, bytes are counted, a break changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests import starts
from tests.processes.sync_worker import CASES, GOSSIP, STEPS, WIDTH, Model, Rows

WORKER = Path(__file__).with_name("sync_worker.py")
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, by two processes."""
    folder = tmp_path_factory.mktemp("apart")
    starts.run_ranks([str(WORKER), str(folder), *CASES], folder, timeout=240)
    return folder


def load(out: Path, case: str, rank: int = 0) -> dict[str, Any]:
    return torch.load(out / f"{case}-r{rank}.pt", weights_only=True)


def train_alone(rank: int, start: Weights, steps: range, case: str = "") -> Weights:
    """Plain SGD by hand on the rows of one process."""
    module, rows = Model(), Rows(rank, case)
    module.load_state_dict(start)
    for step in steps:
        functional.mse_loss(module.network(rows[step][:, :WIDTH]), rows[step][:, WIDTH:]).backward()
        with torch.no_grad():
            for parameter in module.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
                parameter.grad = None
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def mix(parts: list[Weights], shares: list[float]) -> Weights:
    return {name: sum(s * part[name] for s, part in zip(shares, parts, strict=True)) for name in parts[0]}  # pyright: ignore[reportReturnType]  # a sum of tensors


def first() -> Weights:
    return {name: value.detach().clone() for name, value in Model().named_parameters()}


def close(one: Weights, other: Weights) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-12, atol=1e-12)


def test_a_round_after_each_step_of_sgd_is_plain_ddp(out: Path) -> None:
    for rank in (0, 1):
        close(load(out, "each-step", rank)["weights"], load(out, "ddp", rank)["weights"])


@pytest.mark.parametrize(("case", "shares"), [("local", [0.5, 0.5]), ("samples", [2 / 3, 1 / 3])])
def test_rounds_average_what_each_process_has_trained_alone(case: str, shares: list[float], out: Path) -> None:
    """Federated averaging with n_k samples in process k: W ← Σ_k (n_k / n) W_k, two rounds of four steps."""
    value = first()
    for steps in (range(4), range(4, 8)):
        value = mix([train_alone(rank, value, steps, case) for rank in (0, 1)], shares)
    for rank in (0, 1):
        close(load(out, case, rank)["weights"], value)


def test_gossip_mixes_and_ends_in_the_mean(out: Path) -> None:
    """P is doubly stochastic: it keeps the mean, which the last round of a fit leaves in both."""
    alone = [train_alone(rank, first(), range(STEPS)) for rank in (0, 1)]
    mixed = [mix(alone, row) for row in GOSSIP]
    for rank in (0, 1):
        close(load(out, "gossip", rank)["weights"], mix(mixed, [0.5, 0.5]))


def test_bytes_are_counted_beside_those_of_ddp(out: Path) -> None:
    size = sum(parameter.nbytes for parameter in Model().parameters())
    plain, local = load(out, "ddp"), load(out, "local")
    assert plain["reduced"] == size * STEPS  # what a hook in DDP itself was given
    assert local["reduced"] == 0  # no gradient is sent
    assert local["traffic"] == {"rounds": 2, "sent": 2 * size, "plain": plain["reduced"]}
    assert load(out, "gossip")["traffic"] == {"rounds": 2, "sent": 2 * size, "plain": plain["reduced"]}


def test_a_run_that_is_resumed_between_rounds_is_the_run_without_a_break(out: Path) -> None:
    for rank in (0, 1):
        whole, resumed = (load(out, case, rank) for case in ("adamw", "resumed"))
        assert not resumed["error"]
        assert resumed["traffic"] == whole["traffic"]
        assert all(torch.equal(value, resumed["weights"][name]) for name, value in whole["weights"].items())
    saved = torch.load(out / "at5.ckpt", weights_only=True)
    [other] = saved["parameter_sync_ranks"]
    assert not torch.equal(other["tensors"]["network.0.weight"], saved["state_dict"]["network.0.weight"])


def test_weights_for_other_processes_are_refused_before_anything_changes(out: Path) -> None:
    for rank in (0, 1):
        found = load(out, "refused", rank)
        assert found["error"] == (
            "sync[0]: `weights` has 3 entries, and the run has 2 processes. Give each of them one, in the "
            "order of their ranks (0, 1, …)."
        )
        assert all(torch.equal(value, first()[name]) for name, value in found["weights"].items())
