"""A training whose policies decide, on a rank of several; a process of its own.

Usage: adaptive_worker.py OUT, with the variables of torchrun. Every rank writes its decisions, its weights and what it
was told to OUT/<rank>.pt. The ranks have other data and other random numbers, so that they agree by what they exchange.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy

from lightning_tying.callbacks.adaptive.join_on_redundancy import JoinOnRedundancy
from lightning_tying.callbacks.adaptive.split_on_conflict import SplitOnConflict
from lightning_tying.callbacks.adaptive_sharing import AdaptiveSharing
from tests.unit.callbacks.adaptive_runs import QUIET, make_data, make_tasks


class Generous(JoinOnRedundancy):
    """Keeps every join."""


RANK, OUT = int(os.environ["RANK"]), Path(sys.argv[1])
module = make_tasks("two")
torch.manual_seed(RANK)  # noise of the labels
adaptive = AdaptiveSharing(
    [
        SplitOnConflict(every_n_steps=3, samples=4),
        JoinOnRedundancy(1e-9, 10, ["*.head.weight"], within=2.0, init="first"),
        Generous(1e9, 10, ["*.head.bias"], within=2.0),
    ]
)
trainer = Trainer(
    **(QUIET | {"max_steps": 45}),
    default_root_dir=OUT,
    devices=2,
    strategy=DDPStrategy(process_group_backend="gloo"),
    callbacks=[adaptive],
)
trainer.fit(module, make_data(), make_data(64))
weights = {name: value.clone() for name, value in module.state_dict().items()}
decisions = [each.to_dict() for each in adaptive.decisions]
torch.save({"decisions": decisions, "weights": weights, "losses": module.losses}, OUT / f"{RANK}.pt")
