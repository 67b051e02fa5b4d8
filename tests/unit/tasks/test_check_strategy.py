"""What a strategy would part is refused when the module is there and before the strategy wraps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, StochasticWeightAveraging
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy
from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.models import DecoderLM
from lightning_tying.models.linear import TokenEmbedding
from lightning_tying.tasks import TiedModule
from lightning_tying.tasks.watch.check_strategy import check_strategy


class Model(TiedModule, LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = DecoderLM(20, dim=8, depth=2, heads=2)
        self.tie_network({"share": [{"tie": ["embed.weight", "head.weight"]}]})

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.network(batch).sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self) -> Any:
        return [torch.ones(1, 3, dtype=torch.long)]


class Fsdp1OnCpu(FSDPStrategy):
    """Lightning refuses FSDP1 without CUDA; here it is only asked for its settings."""


class DeepSpeedStrategy(SingleDeviceStrategy):
    """Has the name and the settings of Lightning's, which needs a package that is not there."""

    config: ClassVar[Any] = {"zero_optimization": {"stage": 3}}


def _attach(strategy: Any, tmp_path: Path, callbacks: list[Callback] | None = None, **options: Any) -> Model:
    module = Model()
    trainer = Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, default_root_dir=tmp_path,
        callbacks=callbacks, **options,
    )  # fmt: skip
    trainer.strategy.connect(module)
    strategy.connect(module)
    strategy.parallel_devices = [torch.device("cpu")]
    trainer._accelerator_connector.strategy = strategy  # pyright: ignore  # Lightning has no public way to exchange it
    module.trainer = trainer
    return module


def test_an_fsdp1_policy_that_splits_a_group(tmp_path: Path) -> None:
    module = _attach(Fsdp1OnCpu(auto_wrap_policy={TokenEmbedding}), tmp_path)
    with pytest.raises(ApplyError, match=r"embed.weight in the unit network.embed"):
        check_strategy(module)
    check_strategy(_attach(Fsdp1OnCpu(), tmp_path))


@pytest.mark.parametrize("callback", [lambda: EMAWeightAveraging(decay=0.9), lambda: StochasticWeightAveraging(0.1)])
def test_averages_of_a_sharded_module(callback: Any, tmp_path: Path) -> None:
    with pytest.raises(ApplyError, match="copies the module"):
        check_strategy(_attach(ModelParallelStrategy(1, 1), tmp_path, [callback()]))
    check_strategy(_attach(DDPStrategy(), tmp_path, [callback()]))


def test_static_graph_with_accumulation(tmp_path: Path) -> None:
    with pytest.raises(ApplyError, match="static_graph"):
        check_strategy(_attach(DDPStrategy(static_graph=True), tmp_path, accumulate_grad_batches=2))
    check_strategy(_attach(DDPStrategy(static_graph=True), tmp_path))
    check_strategy(_attach(DDPStrategy(), tmp_path, accumulate_grad_batches=2))


def test_deepspeed_stage_3_and_a_weight_that_its_module_does_not_read(tmp_path: Path) -> None:
    module = _attach(DeepSpeedStrategy(torch.device("cpu")), tmp_path)
    check_strategy(module)
    module.network = nn.ModuleList(nn.MultiheadAttention(8, 2) for _ in range(2))  # pyright: ignore[reportAttributeAccessIssue]
    module.tie_network({"share": ["{l}.out_proj.weight = O"]})
    with pytest.raises(ApplyError, match="ZeRO stage 3"):
        check_strategy(module)


def test_nothing_is_asked_without_a_trainer_or_a_tie(tmp_path: Path) -> None:
    check_strategy(Model())
    untied = LightningModule()
    untied.trainer = Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    check_strategy(untied)


def test_a_fit_is_refused_before_anything_is_wrapped(tmp_path: Path) -> None:
    class Refused(SingleDeviceStrategy):
        kwargs: ClassVar[Any] = {"auto_wrap_policy": {TokenEmbedding}}

        def setup(self, trainer: Any) -> None:
            raise AssertionError("the strategy came first")

    kind = type("FSDPStrategy", (Refused,), {})
    trainer = Trainer(
        accelerator="cpu", strategy=kind(torch.device("cpu")), logger=False, enable_checkpointing=False, max_steps=1,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    with pytest.raises(ApplyError, match=r"embed.weight in the unit"):
        trainer.fit(Model())
