"""JointData: the datamodules of several members go in; batches by member for a joint training come out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from typing import Any, cast

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import nn
from typing_extensions import override

from lightning_tying.data.joint_loader import JointLoader
from lightning_tying.errors import ConfigError
from lightning_tying.vocab import Sampling


class JointData(LightningDataModule):
    """The data of several members in one run, each from a datamodule of its own.

    Training gives `{member: batch}`: a batch of every member in each step, or with `sampling` of one that is drawn.
    A member that has ended begins again. Validation, test and prediction have one loader for each member. The position
    of every datamodule of this package is part of a checkpoint; a loader of torch's that knows no position begins
    anew when a run is resumed.

    Args:
        members: datamodules by the names of the model's members.
        sampling: how often each member is drawn: `{policy: proportional}` by the number of its batches, `{policy:
            weights, weights: {digits: 3, vowels: 1}}` by weight; None for all of them in each step.
        steps: of an epoch; None for the batches of the longest member, with `sampling` for those of all together.
        seed: of the draws; at least 0.

    Raises:
        ConfigError: there are no members, one is no datamodule or stands twice, or a number is out of range.
    """

    def __init__(
        self,
        members: dict[str, LightningDataModule],
        sampling: Sampling | None = None,
        steps: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check_members(members)
        if steps is not None and steps < 1:
            raise ConfigError(f"data.steps is {steps}; it must be at least 1.")
        if seed < 0:
            raise ConfigError(f"data.seed is {seed}; it must be at least 0.")
        _check_weights(sampling, members)
        self.members = dict(members)
        self.sampling = sampling
        self.steps = steps
        self.seed = seed
        self._loader: JointLoader | None = None
        self._position: dict[str, int] | None = None

    @override
    def prepare_data(self) -> None:
        """Let every member prepare its data."""
        for data in self._each():
            data.prepare_data()

    @override
    def setup(self, stage: str) -> None:
        """Let every member set up its data."""
        for data in self._each():
            data.setup(stage)

    @override
    def teardown(self, stage: str) -> None:
        """Let every member clean up."""
        for data in self._each():
            data.teardown(stage)

    @override
    def train_dataloader(self) -> JointLoader:
        loaders = {name: self._one_loader(name, data.train_dataloader()) for name, data in self._named()}
        limit = getattr(self.trainer, "limit_train_batches", None)
        made = JointLoader(loaders, self.sampling, self.steps, seed=self.seed, limit=limit)
        if self._position is not None:
            made.go_on(self._position)
        self._loader, self._position = made, None
        return made

    @override
    def val_dataloader(self) -> dict[str, Any]:
        return self._loaders("val_dataloader")

    @override
    def test_dataloader(self) -> dict[str, Any]:
        return self._loaders("test_dataloader")

    @override
    def predict_dataloader(self) -> dict[str, Any]:
        return self._loaders("predict_dataloader")

    @override
    def state_dict(self) -> dict[str, Any]:
        """The position in the epoch, and what each member keeps."""
        members = {name: data.state_dict() for name, data in self.members.items()}
        return {"members": members} if self._loader is None else {"members": members, **self._loader.position()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next training loader go on from the checkpoint's position.

        Raises:
            ConfigError: the checkpoint is of other members.
        """
        kept = cast("dict[str, dict[str, Any]]", state_dict.get("members") or {})
        if kept.keys() != self.members.keys():
            raise ConfigError(
                f"The checkpoint's data are of {', '.join(kept)}, and this run's of {', '.join(self.members)}."
            )
        for name, state in kept.items():
            self.members[name].load_state_dict(state)
        if "step" in state_dict:
            self._position = {"epoch": state_dict["epoch"], "step": state_dict["step"]}

    def _loaders(self, method: str) -> dict[str, Any]:
        return {
            name: self._one_loader(name, getattr(data, method)())
            for name, data in self._named()
            if is_overridden(method, data, LightningDataModule)
        }

    def _one_loader(self, name: str, loader: Any) -> Any:
        if isinstance(loader, dict | list | tuple):
            raise ConfigError(f"The data of the member `{name}` give several loaders for one stage; one is expected.")
        return loader

    def _named(self) -> list[tuple[str, LightningDataModule]]:
        return list(zip(self.members, self._each(), strict=True))

    def _each(self) -> list[LightningDataModule]:
        """The members, which know the trainer from now on: their part of a batch depends on the process."""
        for data in self.members.values():
            data.trainer = self.trainer
        return list(self.members.values())


def _check_members(members: dict[str, LightningDataModule]) -> None:
    if not members:
        raise ConfigError("JointData has no members. Give it datamodules by name: members: {digits: {class_path: …}}.")
    seen: dict[int, str] = {}
    for name, data in members.items():
        if not isinstance(data, LightningDataModule):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
            raise ConfigError(
                f"The data of the member `{name}` are a LightningDataModule, not an object of type "
                f"{type(data).__name__}."
            )
        if hasattr(nn.ModuleDict, name) or not name.isidentifier():
            raise ConfigError(
                f"JointData: {name!r} cannot be the name of a member, and clashes in the model. Write another one."
            )
        other = seen.setdefault(id(data), name)
        if other != name:
            raise ConfigError(f"The data of `{other}` and `{name}` are one object, which has one position. Make two.")


def _check_weights(sampling: Sampling | None, members: dict[str, LightningDataModule]) -> None:
    given = None if sampling is None else sampling.weights
    unknown = [name for name in given or {} if name not in members]
    missing = [name for name in members if given is not None and name not in given]
    if unknown or missing:
        raise ConfigError(
            f"data.sampling: weights are given for {', '.join(given or {})}, and the members are {', '.join(members)}. "
            "Give each member one."
        )
