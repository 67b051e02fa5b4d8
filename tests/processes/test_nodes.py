"""Two "nodes" of one process each on the loopback device, launched from outside: by torchrun, and as SLURM does."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests import starts
from tests.slow import slow

WORKER = Path(__file__).with_name("strategy_worker.py")
LAUNCHERS = ("torchrun", pytest.param("slurm", marks=slow))  # the command line is tried as SLURM starts it
CONFIG = {
    "seed_everything": 1,
    "model": {
        "class_path": "lightning_tying.tasks.Classification",
        "init_args": {
            "network": {
                "class_path": "lightning_tying.models.ConvNet",
                "init_args": {"channels": 1, "classes": 10},
            },
            "sharing": {
                "version": 1,
                "share": [{"sites": "stages.{s}.{b}.conv{n}.weight", "equals": "kernel[s]", "where": "d0 == d1"}],
            },
        },
    },
    "data": {"class_path": "lightning_tying.data.Digits", "init_args": {"batch_size": 64}},
    "trainer": {
        "max_steps": 4, "limit_val_batches": 1, "accelerator": "cpu", "devices": 1, "num_nodes": 2, "strategy": "ddp",
        "log_every_n_steps": 1, "enable_progress_bar": False,
    },
}  # fmt: skip


def _start(launcher: str, words: list[str], folder: Path) -> None:
    """Run the words on two nodes, to their end."""
    port, started = str(starts.free_port()), list[starts.Process]()
    logs = [folder / f"log{node}" for node in range(2)]
    for node in range(2):
        environment = {**os.environ, "TEST_NODES": "2"}
        command = words
        if launcher == "torchrun":
            command = [
                "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
                "--node-rank", str(node), "--master-addr", "127.0.0.1", "--master-port", port, *words,
            ]  # fmt: skip
        else:
            environment |= {
                "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "train",
                "SLURM_JOB_ID": "1", "SLURM_PROCID": str(node), "SLURM_LOCALID": "0", "SLURM_NODEID": str(node),
                "SLURM_NODELIST": "127.0.0.1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
            }  # fmt: skip
        with logs[node].open("wb") as file:
            started.append(starts.start(command, out=file, env=environment, cwd=folder))
    try:
        codes = [process.wait(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    assert codes == [0, 0], "\n".join(log.read_text()[-3000:] for log in logs)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("alone")
    done = starts.run([str(WORKER), str(out), "auto", "1"], timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(out / "rank0.pt", weights_only=True)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_nodes_train_as_one_process(launcher: str, alone: dict[str, Any], tmp_path: Path) -> None:
    _start(launcher, [str(WORKER), str(tmp_path), "ddp", "1"], tmp_path)
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    assert (first["node"], second["node"]) == (0, 1)
    together = (torch.tensor(first["losses"]) + torch.tensor(second["losses"])) / 2
    torch.testing.assert_close(together, torch.tensor(alone["losses"]), rtol=1e-5, atol=1e-5)
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), name
        torch.testing.assert_close(weight, alone["weights"][name], rtol=1e-4, atol=1e-4)


def test_a_run_from_the_command_line_has_one_folder_written_once(tmp_path: Path) -> None:
    config = {**CONFIG, "trainer": {**CONFIG["trainer"], "default_root_dir": str(tmp_path / "run")}}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    _start("slurm", ["-m", "lightning_tying.cli", "fit", "--config", "run.yaml"], tmp_path)
    run = tmp_path / "run"
    for name in ("config.yaml", "sharing.json", "events.out.*", "metrics.csv"):
        assert len(list(run.rglob(name))) == 1, name
    assert {path.name for path in run.glob("logs/*/*")} == {"version_0"}  # a race would give each process its own
    assert yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["trainer"]["num_nodes"] == 2
    (metrics,) = run.rglob("metrics.csv")
    with metrics.open(encoding="utf-8") as file:
        steps = [row["step"] for row in csv.DictReader(file) if row.get("train/loss")]
    assert len(steps) == len(set(steps)) == 4
    kept = [path for path in run.rglob("*.ckpt") if not path.is_symlink()]
    assert kept and all(torch.load(path, weights_only=True)["global_step"] == 4 for path in kept)
