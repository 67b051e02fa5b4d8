"""Finetuning of tied modules: a part is frozen or unfrozen, its sharing groups follow, each parameter in one group."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeAlias, Union, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning
from lightning_utilities.core.rank_zero import rank_zero_info
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import override

from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.lowering.resolve import find_slots
from lightning_tying.lowering.state import find_tied

Modules: TypeAlias = Union[nn.Module, Iterable[Union[nn.Module, Iterable[Any]]]]


class SharedFinetuning(BaseFinetuning):
    """Lightning's `BaseFinetuning` for modules that share parameters; subclass it in the same way.

    A parameter is frozen or trained as a whole: freezing a module freezes the sharing groups that it reads, for all
    their sites, and the groups are told when training is set up. To hold one use alone, write `grad: stop` for it in
    the spec. Unfreezing gives each parameter to the optimizer once; Lightning's own compares parameters by their
    values, so that a tied one is added twice and two new layers with equal values are left out.
    """

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Freeze, and tell which sharing groups are frozen by it."""
        before = frozen_groups(pl_module)
        super().setup(trainer, pl_module, stage)
        for name, sites in frozen_groups(pl_module).items():
            if name not in before:
                rank_zero_info(f"{type(self).__name__} freezes the sharing group `{name}`: {', '.join(sites)}.")

    def on_sharing_edited(self, trainer: Trainer, pl_module: LightningModule, record: EditRecord) -> None:
        """Remember the optimizers' parameters after a split or a join; a resumption makes their groups by name."""
        del record
        untyped: Any = self
        names = {parameter: name for name, parameter in pl_module.named_parameters()}
        for number, optimizer in enumerate(trainer.optimizers):
            if number in untyped._internal_optimizer_metadata:
                groups = untyped._apply_mapping_to_param_groups(optimizer.param_groups, names)
                untyped._internal_optimizer_metadata[number] = groups

    @staticmethod
    @override
    def filter_params(modules: Modules, train_bn: bool = True, requires_grad: bool = True) -> Generator[nn.Parameter]:
        """The parameters of modules with this `requires_grad`, each once."""
        seen: set[int] = set()
        untyped: Any = BaseFinetuning  # its generators have no element types
        for parameter in cast("Iterator[nn.Parameter]", untyped.filter_params(modules, train_bn, requires_grad)):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield parameter

    @staticmethod
    @override
    def filter_on_optimizer(optimizer: Optimizer, params: Iterable[Tensor]) -> list[Tensor]:
        """The parameters that the optimizer does not hold yet, by identity."""
        held = {id(each) for group in optimizer.param_groups for each in group["params"]}
        return [parameter for parameter in params if id(parameter) not in held]

    @staticmethod
    @override
    def unfreeze_and_add_param_group(
        modules: Modules,
        optimizer: Optimizer,
        lr: float | None = None,
        initial_denom_lr: float = 10.0,
        train_bn: bool = True,
    ) -> None:
        """Unfreeze modules, and give the optimizer what it does not hold of them.

        Args:
            modules: what is trained from now on; the sharing groups that they read are, at all their sites.
            optimizer: gets a parameter group.
            lr: of that group; None for the first group's, divided by `initial_denom_lr`.
            initial_denom_lr: the divisor.
            train_bn: whether batch norms are trained.
        """
        SharedFinetuning.make_trainable(modules)
        rate = optimizer.param_groups[0]["lr"] / initial_denom_lr if lr is None else float(lr)
        found = SharedFinetuning.filter_params(modules, train_bn=train_bn, requires_grad=True)
        added = SharedFinetuning.filter_on_optimizer(optimizer, found)
        if added:
            optimizer.add_param_group({"params": added, "lr": rate})


def frozen_groups(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """The sharing groups of several sites whose parameter is frozen now: their sites, by name."""
    found: dict[str, tuple[str, ...]] = {}
    for path, root, state in find_tied(module):
        inside = f"{path}." if path else ""
        for group in state.plan.graph.groups:
            keeper = find_slots(root, [group.keeper])[group.keeper].peek()
            if keeper is not None and len(group.uses) > 1 and not keeper.requires_grad:
                found[f"{inside}{group.name}"] = tuple(f"{inside}{use.site}" for use in group.uses)
    return found
