"""Rows of the survival table: compiling, activation checkpointing, exporting, averaging, resizing."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, StochasticWeightAveraging
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    CheckpointImpl,
    apply_activation_checkpointing,
    checkpoint_wrapper,
)
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from lightning_tying.api import tie, verify
from tests.survival.cases import SPECS, TOKENS, Kind, Net, make_untied, refill
from tests.survival.groups import one_process
from tests.survival.operation import HOLDS, RESTORED, Operation, detected, every, refused


def compiled(net: Net, _kind: Kind) -> nn.Module:
    result = torch.compile(net, backend="eager")
    result(TOKENS)
    return result  # type: ignore[return-value]


def compiled_before(_net: Net, kind: Kind) -> nn.Module:
    net = make_untied()
    result: Any = torch.compile(net, backend="eager")
    tie(result, SPECS[kind])
    refill(net)
    result(TOKENS)
    return result  # type: ignore[no-any-return]


def compiled_and_loaded(net: Net, _kind: Kind) -> nn.Module:
    result: Any = torch.compile(net, backend="eager")
    result(TOKENS)
    result.load_state_dict(result.state_dict(), assign=True)
    return result  # type: ignore[no-any-return]


def checkpointed(net: Net, _kind: Kind) -> None:
    net.reentrant = False


def checkpointed_reentrant(net: Net, _kind: Kind) -> None:
    net.reentrant = True


def reentrant_under_ddp(net: Net, _kind: Kind) -> None:
    """torch notices in the first backward pass: the shared parameter is ready once for each block."""
    net.reentrant = True
    with one_process():
        wrapped = DistributedDataParallel(net)
        wrapped(TOKENS).sum().backward()


def wrapped_by(impl: CheckpointImpl) -> Callable[[Net, Kind], None]:
    def run(net: Net, _kind: Kind) -> None:
        apply_activation_checkpointing(
            net,
            checkpoint_wrapper_fn=lambda part: checkpoint_wrapper(part, checkpoint_impl=impl),
            check_fn=lambda part: isinstance(part, nn.Linear),
        )
        if impl is CheckpointImpl.REENTRANT:
            verify(net)

    return run


def tied_after_reentrant(_net: Net, kind: Kind) -> None:
    net = make_untied()
    net.two = checkpoint_wrapper(net.two, checkpoint_impl=CheckpointImpl.REENTRANT)  # type: ignore[assignment]
    tie(net, SPECS[kind])


def exported(net: Net, _kind: Kind) -> nn.Module:
    file = io.BytesIO()
    torch.export.save(torch.export.export(net, (TOKENS,)), file)
    file.seek(0)
    module = torch.export.load(file).module()
    torch.testing.assert_close(module(TOKENS), net(TOKENS))
    return module


def exported_and_tied(net: Net, kind: Kind) -> nn.Module:
    module = exported(net, kind)
    tie(module, SPECS[kind])
    return module


class Module(LightningModule):
    """Trains without moving, so that averages are what they are made of."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self.net(batch).pow(2).mean()

    def train_dataloader(self) -> Any:
        return DataLoader([TOKENS, TOKENS], batch_size=None)  # type: ignore[arg-type]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-12)


def fit(net: Net, callback: Callback) -> Module:
    module = Module(net)
    Trainer(
        max_epochs=3,
        accelerator="cpu",
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module)
    return module


def averaged(net: Net, _kind: Kind) -> nn.Module:
    callback = EMAWeightAveraging(decay=0.5)
    fit(net, callback)
    average: Any = callback._average_model
    verify(average)
    verify(net)
    result = average.module.net
    assert result is not net
    return result  # type: ignore[no-any-return]


def stochastically_averaged(net: Net, _kind: Kind) -> nn.Module:
    callback = StochasticWeightAveraging(swa_lrs=1e-12, swa_epoch_start=1)
    module = fit(net, callback)
    average: Any = callback._average_model
    verify(average)
    return module.net


OPERATIONS = (
    Operation("`torch.compile` of a tied module", compiled, every(HOLDS)),
    Operation("`tie` of a compiled module", compiled_before, every(HOLDS), control=False),
    Operation("`load_state_dict(assign=True)` through `torch.compile`", compiled_and_loaded, every(RESTORED)),
    Operation("`checkpoint(…, use_reentrant=False)` of the shared blocks", checkpointed, every(HOLDS)),
    Operation("`apply_activation_checkpointing`, non-reentrant", wrapped_by(CheckpointImpl.NO_REENTRANT), every(HOLDS)),
    Operation(
        "`apply_activation_checkpointing`, reentrant",
        wrapped_by(CheckpointImpl.REENTRANT),
        every(refused("reentrant activation checkpointing")),
        kept=False,
        note="By the next `verify`, which a fit begins with.",
    ),
    Operation("`tie` of a module with a reentrant wrapper", tied_after_reentrant, every(refused("reentrant"))),
    Operation(
        "`checkpoint(…, use_reentrant=True)` in a `forward`, one process",
        checkpointed_reentrant,
        every(HOLDS),
        note="Not to be seen from outside; the gradients are right here.",
    ),
    Operation(
        "`checkpoint(…, use_reentrant=True)` in a `forward`, DDP",
        reentrant_under_ddp,
        every(refused("ready")),
        note="By torch, in the first backward pass.",
    ),
    Operation(
        "`torch.export`, saved and loaded",
        exported,
        every(detected("is not tied")),
        note="The program computes the same; its parameters share memory and are several.",
    ),
    Operation(
        "the same, then `tie(module, spec)`",
        exported_and_tied,
        (RESTORED, refused("matches no site"), refused("matches no site")),
        control=False,
        note="A derived value is operations of the program, and no site any more.",
    ),
    Operation("`EMAWeightAveraging`: the average", averaged, every(HOLDS), tolerance=1e-5, control=False),
    Operation(
        "`StochasticWeightAveraging`: the average, and the module after it",
        stochastically_averaged,
        every(HOLDS),
        tolerance=1e-5,
        control=False,
    ),
)
