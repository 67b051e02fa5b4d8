"""What a member sees of the run: a trainer and a member's name go in; its own data and its own metrics come out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.data import extract_batch_size
from torch import Tensor
from torchmetrics import Metric

from lightning_tying.errors import ConfigError

if TYPE_CHECKING:
    from lightning_tying.tasks.joint.joint_training import JointTraining

_STAGES = ("train", "val", "test")


class MemberTrainer:
    """The run's trainer, with the member's data in place of all; optimizers and callbacks are the joint model's.

    Args:
        trainer: of the run.
        datamodule: the member's; None where the run has none.
    """

    def __init__(self, trainer: Any, datamodule: Any) -> None:
        self._trainer = trainer
        self.datamodule = datamodule
        self.optimizers: list[Any] = []
        self.callbacks: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_trainer":  # a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self._trainer, name)


def show_run(joint: LightningModule, tasks: Mapping[str, LightningModule]) -> None:
    """Give each member its view of the joint model's trainer.

    Raises:
        ConfigError: the data are those of other members.
    """
    trainer = getattr(joint, "_trainer", None)
    if trainer is None:
        return
    data: object = getattr(trainer.datamodule, "members", None)
    parts: dict[str, Any] = dict(cast("Mapping[str, Any]", data)) if isinstance(data, Mapping) else {}
    if parts:
        check_names("The data are", parts, tasks)
    for name, task in tasks.items():
        cast(Any, task)._trainer = MemberTrainer(trainer, parts.get(name))


def check_names(what: str, found: Mapping[str, Any], tasks: Mapping[str, Any]) -> None:
    """Refuse data that are not of exactly these members.

    Raises:
        ConfigError: naming who has what.
    """
    if found.keys() != tasks.keys():
        raise ConfigError(
            f"{what} of {', '.join(found)}, and the members of the model are {', '.join(tasks)}. Give both the same "
            "names."
        )


def log_for(joint: JointTraining, member: str, /, name: str, value: Any, *rest: Any, **options: Any) -> None:
    """`LightningModule.log` of a member: the joint model logs it, with the member's name in it."""
    if options.get("batch_size") is None:
        options["batch_size"] = joint.rows_of_batch
    options["add_dataloader_idx"] = False
    if isinstance(value, Metric) and options.get("metric_attribute") is None:
        # Lightning looks for a model's metrics once, at the first; another member may make its own later
        paths = cast("Iterator[tuple[str, object]]", joint.named_modules())
        options["metric_attribute"] = next((path for path, each in paths if each is value), None)
    joint.log(member_key(name, member), value, *rest, **options)


def member_key(key: str, member: str) -> str:
    """`val/loss` and a member's name in, `val/‹member›/loss` out; without a stage the name stands in front."""
    stage, _, rest = key.partition("/")
    return f"{stage}/{member}/{rest}" if rest and stage in _STAGES else f"{member}/{key}"


def redirect_logs(joint: JointTraining, name: str, task: LightningModule) -> None:
    """Let a member log by the joint model."""
    # On the instance, and a partial: deepcopy and pickle rebind it to the copy, which they do not with a closure.
    setattr(task, "log", partial(log_for, joint, name))  # noqa: B010


def count_rows(batch: object) -> int:
    """How many rows a member's batch has, by which its metrics are averaged; 1 where that cannot be seen."""
    parts = cast("Mapping[str, Any]", batch).values() if isinstance(batch, Mapping) else ()
    first = next((each for each in parts if isinstance(each, Tensor)), None)
    if first is not None:
        return len(first) if first.dim() else 1
    try:
        return int(extract_batch_size(cast(Any, batch)))
    except Exception:  # Lightning's own kind, of which it has no public name; a mean of other weights is no failure
        return 1
