"""A module and weights under another program's names go in, a state dict for the module comes out, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from lightning_tying.lowering.resolve import without_wrappers


def fit_names(module: nn.Module, weights: Mapping[str, Tensor], prefixes: Sequence[str]) -> dict[str, Tensor] | None:
    """The weights under the module's own names, if they are all there and there are no others.

    Names that hold one parameter in the module are filled from one another, so a file may leave aliases out.

    Args:
        module: tied or not.
        weights: by name.
        prefixes: what may stand before each name.

    Returns:
        None where no prefix fits.
    """
    wanted = module.state_dict(keep_vars=True)
    names: dict[int, list[str]] = {}
    for name, tensor in wanted.items():
        names.setdefault(id(tensor), []).append(name)
    for prefix in dict.fromkeys(prefixes):
        state = {prefix + without_wrappers(name): tensor for name, tensor in weights.items()}
        if not state.keys() <= wanted.keys():
            continue
        for group in names.values():
            present = [name for name in group if name in state]
            if present:
                state.update({name: state[present[0]] for name in group if name not in state})
        if state.keys() == wanted.keys() and all(state[name].shape == wanted[name].shape for name in state):
            return state
    return None
