"""Rows of the survival table: what replaces the parameters of a layer, by hand, by torch and by `change_members`."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from lightning_tying.api import get_plan, tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.change_members import change_members
from tests.survival.cases import TOKENS, Kind, Net
from tests.survival.operation import HOLDS, RESTORED, UNTIED, Cell, Operation, detected, every, refused


class Double(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return 2 * values


def replaced(net: Net, _kind: Kind) -> None:
    net.two.weight = nn.Parameter(torch.zeros(8, 8))


def replaced_and_tied(net: Net, _kind: Kind) -> None:
    net.two.weight = nn.Parameter(torch.zeros(8, 8))
    tie(net, get_plan(net))


def exchanged(net: Net, _kind: Kind) -> None:
    net.two = nn.Linear(8, 8)


def deleted(net: Net, _kind: Kind) -> None:
    del net.two.weight


def parametrized(net: Net, _kind: Kind) -> None:
    parametrize.register_parametrization(net.two, "weight", Double())


def normed(net: Net, _kind: Kind) -> None:
    parametrizations.weight_norm(net.two)


def spectrally_normed(net: Net, _kind: Kind) -> None:
    parametrizations.spectral_norm(net.two)


def old_normed(net: Net, _kind: Kind) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(net.two)


def pruned(net: Net, _kind: Kind) -> None:
    prune.l1_unstructured(net.two, "weight", 0.5)


def quantized(net: Net, _kind: Kind) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ao.quantization.quantize_dynamic(net, {nn.Linear})  # type: ignore[no-any-return]


def both(one_layer: Callable[[nn.Module], object]) -> Callable[[nn.Module], None]:
    """The change of both layers that share a weight."""

    def change(net: nn.Module) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            one_layer(net.one)
            one_layer(net.two)

    return change


CHANGES: dict[str, Callable[[nn.Module], object]] = {
    "weight_norm": both(parametrizations.weight_norm),
    "pruning": both(lambda layer: prune.l1_unstructured(layer, "weight", 0.5)),
    "quantize_dynamic": lambda net: quantized(net, "alias"),  # type: ignore[arg-type]
}


def by_policy(change: Callable[[nn.Module], object], on_tied: str) -> Callable[[Net, Kind], nn.Module]:
    """`change_members`, and what it promises: equal layers when shared, layers of their own when untied."""

    def run(net: Net, _kind: Kind) -> nn.Module:
        before = net(TOKENS)
        result = change_members(net, change, on_tied=on_tied)  # type: ignore[arg-type]
        if change is CHANGES["weight_norm"]:
            torch.testing.assert_close(result(TOKENS), before)
        if on_tied == "share":
            assert weights_of(result.one) == weights_of(result.two), "the layers do not hold the same tensors"
        else:
            assert not weights_of(result.one) & weights_of(result.two), "the layers share tensors still"
        return result

    return run


def weights_of(layer: nn.Module) -> set[int]:
    tensors = {name: each for name, each in layer.named_parameters() if "weight" in name and "bias" not in name}
    packed = getattr(layer, "_packed_params", None)
    return {id(each) for each in tensors.values()} or {id(packed)}


def frozen_and_thawed(net: Net, _kind: Kind) -> None:
    """`BaseFinetuning`: the sharing group is frozen as one, and added to the optimizer once."""
    from lightning.pytorch.callbacks import BaseFinetuning

    BaseFinetuning.freeze(net.two)
    assert not any(parameter.requires_grad for parameter in net.two.parameters())
    verify(net)
    optimizer = torch.optim.SGD(net.one.bias.new_zeros(1).requires_grad_() for _ in range(1))
    BaseFinetuning.unfreeze_and_add_param_group(net.two, optimizer)
    held = [id(each) for group in optimizer.param_groups for each in group["params"]]
    assert len(held) == len(set(held))
    assert all(parameter.requires_grad for parameter in net.parameters())


def assert_refusal_says_why(net: Net) -> None:
    """For the reader of the table: `refuse` names the group and both ways out."""
    try:
        change_members(net, CHANGES["pruning"])
    except ApplyError as error:
        assert "`W`" in str(error) and "untie" in str(error) and "share" in str(error)
    else:
        raise AssertionError("nothing was refused")


COMPUTED = "is computed from `W`"
NOT_REGISTERED = "cannot be registered on it"


def mixed(alias: Cell, computed: Cell) -> tuple[Cell, Cell, Cell]:
    """One cell for an alias, another for the two kinds of computed sites."""
    return alias, computed, computed


REPLACED = mixed(detected("was replaced"), refused(COMPUTED))
POLICIES: dict[tuple[str, str], tuple[Cell, Cell, Cell]] = {
    **{(word, "refuse"): every(refused("`W`.*Nothing has changed")) for word in CHANGES},
    **{(word, "untie"): every(UNTIED) for word in CHANGES},
    **{(word, "share"): mixed(HOLDS, refused("computed from shared parameters")) for word in CHANGES},
    ("quantize_dynamic", "share"): mixed(refused("different biases"), refused("computed from shared parameters")),
}
OPERATIONS = (
    Operation("a member replaced by hand (`layer.weight = nn.Parameter(…)`)", replaced, REPLACED),
    Operation(
        "the same, then `tie(module, get_plan(module))`",
        replaced_and_tied,
        mixed(RESTORED, refused(COMPUTED)),
        control=False,
    ),
    Operation(
        "a member's module exchanged",
        exchanged,
        mixed(detected("was replaced"), detected("holds a parameter of its own there")),
    ),
    Operation("a member deleted", deleted, mixed(detected("it was deleted"), refused(COMPUTED))),
    Operation(
        "`parametrize.register_parametrization` on a member",
        parametrized,
        mixed(detected("a parametrization was registered on it"), refused(NOT_REGISTERED)),
    ),
    Operation(
        "`parametrizations.weight_norm` of a member",
        normed,
        mixed(detected("weight_norm"), refused(NOT_REGISTERED)),
    ),
    Operation(
        "`parametrizations.spectral_norm` of a member",
        spectrally_normed,
        mixed(detected("spectral_norm"), refused(NOT_REGISTERED)),
    ),
    Operation(
        "`torch.nn.utils.weight_norm` (the old one) of a member",
        old_normed,
        mixed(detected("weight_norm replaced it"), refused("weight")),
        note="Refused by torch, in words of its own.",
    ),
    Operation(
        "`prune.l1_unstructured` of a member",
        pruned,
        mixed(detected("pruning"), refused("weight_orig")),
        note="Refused by torch, in words of its own.",
    ),
    Operation(
        "`quantize_dynamic`",
        quantized,
        mixed(detected("quantize_dynamic"), refused("from_float")),
        note="Refused by torch, which tests for the exact class of a layer.",
    ),
    Operation(
        "`BaseFinetuning.freeze` and `unfreeze_and_add_param_group`",
        frozen_and_thawed,
        every(HOLDS),
        control=False,
        note="Freezing one member freezes the sharing group.",
    ),
    *(
        Operation(
            f'{word} by `change_members(…, on_tied="{on_tied}")`',
            by_policy(CHANGES[word], on_tied),
            cells,
            control=False,
            compared=False,
        )
        for (word, on_tied), cells in POLICIES.items()
    ),
)
