"""Classification of texts or images: batches of inputs and labels go in; accuracies and class names come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.classification import MulticlassAccuracy
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.tasks.network_source import Network
from lightning_tying.tasks.optimizers.optimization import LRSchedulerCallable, OptimizerCallable, default_optimizer
from lightning_tying.tasks.sharing_source import Sharing
from lightning_tying.tasks.task import check_part
from lightning_tying.tasks.text_task import TextTask

CLASSES_KEY = "classes"


class Classification(TextTask):
    """Predicts a class; `forward` maps inputs (images [B, C, H, W] or tokens [B, T]) to logits [B, classes].

    Batches: `input` [B, …], `label` int64 [B]. Logs `loss` and `accuracy` for train, val and test.

    Args:
        network: the classifier, or a function that makes it; tied in the latter case by `configure_model`.
        sharing: the sharing spec: a path (in a run config relative to it), YAML text, or the mapping itself.
        optimizer: makes the optimizer. Default: AdamW with a learning rate of 0.001.
        lr_scheduler: makes the schedule, which is stepped after every optimizer step.
        init_from: a checkpoint or state dict of the untied network; loaded first, then solved into the spec.
        label_smoothing: what part of a label's probability all classes share, from 0 to 1.

    Raises:
        SpecError: the spec is wrong or does not fit the network.
        ConfigError: a file is missing, or does not fit the network.
    """

    monitor: ClassVar[str] = "val/accuracy"
    monitor_mode: ClassVar[Literal["min", "max"]] = "max"
    reads: ClassVar[tuple[str, ...]] = ("input",)

    def __init__(
        self,
        network: Network,
        sharing: Sharing | None = None,
        *,
        optimizer: OptimizerCallable = default_optimizer,
        lr_scheduler: LRSchedulerCallable | None = None,
        init_from: str | Path | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        check_part("Classification: `label_smoothing`", label_smoothing)
        self.label_smoothing = label_smoothing
        self.classes: tuple[str, ...] = ()
        self.accuracies = nn.ModuleDict()
        self.setup_task(network, sharing, optimizer, lr_scheduler, init_from)

    @override
    def setup(self, stage: str) -> None:
        """Take the names of the classes from the datamodule, where it has them."""
        super().setup(stage)
        self.classes = tuple(str(name) for name in getattr(self.datamodule, "classes", None) or self.classes)

    @override
    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean cross entropy of the labels, in nats."""
        logits = self.network(batch["input"])
        loss = functional.cross_entropy(logits, batch["label"], label_smoothing=self.label_smoothing)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    @override
    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Log loss and accuracy of validation."""
        self._measure("val", batch)

    @override
    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Log loss and accuracy of the test."""
        self._measure("test", batch)

    @override
    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> list[str]:
        """Return the name of the most likely class of each input; its number where classes have no names."""
        chosen = cast("list[int]", self.network(batch["input"]).argmax(dim=-1).tolist())
        return [self.classes[place] if place < len(self.classes) else str(place) for place in chosen]

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the names of the classes."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[CLASSES_KEY] = list(self.classes)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the names of the classes."""
        super().on_load_checkpoint(checkpoint)
        self.classes = self.classes or tuple(checkpoint.get(CLASSES_KEY, ()))

    def _measure(self, stage: str, batch: dict[str, Tensor]) -> None:
        logits, label = self.network(batch["input"]), batch["label"]
        accuracy = self._accuracy(stage, logits.shape[-1])
        accuracy.update(logits, label)
        self.log(f"{stage}/loss", functional.cross_entropy(logits, label), batch_size=len(label), sync_dist=True)
        self.log(f"{stage}/accuracy", accuracy, on_step=False, on_epoch=True, prog_bar=True)

    def _accuracy(self, stage: str, classes: int) -> MulticlassAccuracy:
        """The stage's metric; how many classes there are is known by the network's first answer."""
        if classes < 2:
            raise ConfigError(
                f"The network gives {classes} logit for each input; a classifier gives one for each class."
            )
        if classes < len(self.classes):
            raise ConfigError(
                f"The network tells {classes} classes apart, and the data has {len(self.classes)}. "
                f"Write classes: {len(self.classes)} under the network's init_args."
            )
        if stage not in self.accuracies:
            self.accuracies[stage] = MulticlassAccuracy(classes, average="micro").to(self.device)
        return cast(MulticlassAccuracy, self.accuracies[stage])
