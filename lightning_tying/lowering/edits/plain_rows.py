"""A module without a spec, its vocabulary's sites and a change of rows in; its parameters and sizes follow out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lightning_tying.lowering.edits.resized_values import set_attributes
from lightning_tying.lowering.edits.row_change import RowChange
from lightning_tying.lowering.resolve import find_slots, without_wrappers


def change_plain(root: nn.Module, sites: Sequence[str], rows: int, change: RowChange) -> dict[str, int]:
    """Replace the weights at some sites, whatever the module's own code ties to them, and the biases beside them.

    Args:
        root: the module.
        sites: FQNs of weights whose first dimension is the vocabulary's.
        rows: how many rows they have.
        change: what each new row is made of.

    Returns:
        The vocabulary's dimension, 0, by FQN of everything that was replaced.
    """
    parameters = {without_wrappers(n): p for n, p in root.named_parameters(remove_duplicate=False)}
    biases = [f"{site.rpartition('.')[0]}.bias".lstrip(".") for site in sites]
    wanted = {id(parameters[site]) for site in sites}
    wanted |= {id(parameters[bias]) for bias in biases if bias in parameters and parameters[bias].shape == (rows,)}
    names = [name for name, parameter in parameters.items() if id(parameter) in wanted]
    slots = find_slots(root, names)
    made = {
        number: nn.Parameter(change.carry(old, 0), requires_grad=old.requires_grad)
        for number, old in {id(parameters[name]): parameters[name] for name in names}.items()
    }
    for name in names:
        slots[name].write(made[id(parameters[name])])
    set_attributes(root, dict.fromkeys(names, (0, change.rows)), {rows: change.rows})
    return dict.fromkeys(names, 0)
