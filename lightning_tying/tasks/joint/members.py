"""The members of a joint training: what the user gave goes in; tasks and networks with checked names come out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch import LightningModule
from torch import nn

from lightning_tying.errors import ConfigError
from lightning_tying.tasks.optimizers.optimization import default_optimizer
from lightning_tying.tasks.task import Task
from lightning_tying.tasks.tie_any import is_lazy
from lightning_tying.tasks.tied_module import TiedModule
from lightning_tying.tasks.watch.watched_module import WatchedModule

_ONE_OF_A_RUN = (
    "configure_gradient_clipping",
    "lr_scheduler_step",
    "on_after_backward",
    "on_before_backward",
    "on_before_optimizer_step",
    "on_before_zero_grad",
    "optimizer_step",
    "optimizer_zero_grad",
    "transfer_batch_to_device",
)


def check_members(members: Mapping[str, LightningModule]) -> None:
    """Refuse members that cannot be trained together.

    Raises:
        ConfigError: there are none, two are one module, a name cannot be part of an FQN, or a member brings what a
            run has one of.
    """
    if not isinstance(members, Mapping) or not members:  # pyright: ignore[reportUnnecessaryIsInstance]  # callers without types
        raise ConfigError(
            "JointTraining has no members. Give it models by name: members: {digits: {class_path: …}, vowels: {…}}."
        )
    for name, module in members.items():
        _check_name(name)
        _check_module(name, module)
    _refuse_one_twice(members)


def take_network(task: LightningModule) -> nn.Module | None:
    """Take the network out of a task, so that it has one FQN in the joint model; the task goes on reading it.

    Returns:
        The network; the whole module where it has no `network`; None where that is still to be built.
    """
    taken = vars(task).get("network")
    if isinstance(taken, nn.Module):  # by a joint model before this one
        return taken
    network = _own_network(task)
    if network is None:
        return None if is_waiting(task) else task
    del task.network  # of nn.Module: a submodule no more
    object.__setattr__(task, "network", network)  # a plain attribute: no module of this one, and copies keep it
    return network


def give_back(task: LightningModule) -> None:
    """Make a member what it was: its network a submodule, its log its own."""
    vars(task).pop("log", None)
    network = vars(task).pop("network", None)
    if isinstance(network, nn.Module):
        task.network = network


def is_waiting(task: LightningModule) -> bool:
    """Whether a member's layers are still to be built."""
    if isinstance(task, TiedModule):
        return task._build_network is not None and not task._tied_ready  # pyright: ignore[reportPrivateUsage]  # a task's own state
    return is_lazy(task) and next(task.parameters(), None) is None


def build_late(name: str, task: LightningModule) -> None:
    """Build a member's layers, without a strategy's part in it: that is for the joint model.

    Raises:
        ConfigError: it has built nothing.
    """
    if isinstance(task, TiedModule):
        task.tie_now()
    else:
        task.configure_model()
    if is_waiting(task):
        raise ConfigError(f"The member `{name}` ({type(task).__name__}) has no layers after its `configure_model`.")


def _check_name(name: object) -> None:
    """Refuse what cannot be the name of a member.

    Raises:
        ConfigError: saying why.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigError(
            f"JointTraining: {name!r} cannot be the name of a member, which is part of FQNs (`models.‹name›.…`) and of "
            "metrics. Write letters, digits and underscores, and no digit in front."
        )
    if hasattr(nn.ModuleDict, name):
        raise ConfigError(
            f"JointTraining: no member can be called `{name}`, which clashes with what torch's ModuleDict has. "
            f"Call it `{name}_`."
        )


def _check_module(name: str, module: object) -> None:
    if not isinstance(module, LightningModule):
        raise ConfigError(
            f"The member `{name}` is a LightningModule, such as Classification(network), not an object of type "
            f"{type(module).__name__}."
        )
    if isinstance(module, WatchedModule) and module.tied_spec is not None:
        raise ConfigError(
            f"The member `{name}` has a sharing spec of its own. A joint training has one: write its equations there, "
            f"with models.{name}. in front of their sites."
        )
    if isinstance(module, Task):
        _check_optimizer(name, module)
    if not module.automatic_optimization:
        raise ConfigError(f"The member `{name}` optimizes by hand; a joint training has one optimizer and makes steps.")
    own = [method for method in _ONE_OF_A_RUN if _overrides(module, method)]
    if own:
        raise ConfigError(
            f"The member `{name}` ({type(module).__name__}) has a `{own[0]}` of its own, which a run has one of: it "
            "would not be called. Move it to a callback, or to a subclass of JointTraining."
        )


def _check_optimizer(name: str, task: Task) -> None:
    given: dict[str, Callable[..., Any] | None] = {
        "optimizer": None if task.make_optimizer is default_optimizer else task.make_optimizer,
        "lr_scheduler": task.make_lr_scheduler,
    }
    for argument, maker in given.items():
        if maker is not None:
            raise ConfigError(
                f"The member `{name}` has `{argument}` of its own; a joint training has one for all. Give it to "
                "JointTraining; `lr` under the spec's `parameters:` scales it for a shared parameter."
            )


def _overrides(module: LightningModule, method: str) -> bool:
    owners = (kind for kind in type(module).__mro__ if method in vars(kind))
    owner = next(owners, None)
    return owner is not None and owner.__module__.split(".")[0] not in ("lightning", "pytorch_lightning")


def _refuse_one_twice(members: Mapping[str, LightningModule]) -> None:
    seen: dict[int, str] = {}
    for name, task in members.items():
        for each in (task, _own_network(task)):
            if each is None:
                continue
            other = seen.setdefault(id(each), name)
            if other != name:
                raise ConfigError(
                    f"The members `{other}` and `{name}` are one {type(each).__name__}. Build one for each, and share "
                    f"their parameters by the spec: models.{{m}}.{{name*}} = shared[name]."
                )


def _own_network(task: LightningModule) -> nn.Module | None:
    """The submodule `network` of a task; None where it has none, or where the joint model has taken it."""
    return dict(task.named_children()).get("network")
