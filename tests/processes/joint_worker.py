"""A joint training on the processes of one group: all members in each step, drawn ones, combined gradients.

Usage: joint_worker.py OUT CASE…. Writes OUT/CASE-SIZE-RANK.pt: the weights afterwards, or what was refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything

from lightning_tying.callbacks import GradientStability
from lightning_tying.data import JointData
from lightning_tying.errors import ConfigError
from lightning_tying.tasks import JointTraining
from lightning_tying.vocab import Sampling
from tests.unit.tasks.joint.joint_runs import QUIET, Rows, make_joint

UNUSED = "ddp_find_unused_parameters_true"


def main(out: Path, case: str) -> None:
    size = int(os.environ["WORLD_SIZE"])
    seed_everything(0, verbose=False)
    joint = make_joint(weights="uncertainty").double()
    sampling = None if case in ("together", "combined") else Sampling(policy="proportional")
    data = JointData({"a": Rows(3, 1, batch_size=8 // size), "b": Rows(5, 2, rows=24, batch_size=8 // size)}, sampling)
    kind = "auto" if size == 1 else UNUSED if case == "drawn" else "ddp"
    folder = out / f"{case}-{size}"
    balance = GradientStability(2, by="member", combine="norm_balanced", report=False, folder=folder)
    trainer = Trainer(
        **{**QUIET, "default_root_dir": folder}, strategy=kind, devices=1 if size == 1 else size, max_epochs=2,
        limit_val_batches=1.0, callbacks=[balance] if case == "combined" else [],
    )  # fmt: skip
    torch.save(fit(trainer, joint, data), out / f"{case}-{size}-{trainer.global_rank}.pt")


def fit(trainer: Trainer, joint: JointTraining, data: JointData) -> dict[str, Any]:
    try:
        trainer.fit(joint, data)
    except ConfigError as error:
        return {"refused": str(error)}
    values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("val/")}
    return {"weights": joint.state_dict(), "values": values}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[2:]:
        main(Path(sys.argv[1]), name)
