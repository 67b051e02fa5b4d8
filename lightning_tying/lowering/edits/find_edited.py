"""A module and the name of a sharing group in; the tied module that has it, and the group, out."""

from __future__ import annotations

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.edits.edited_graph import find_edited
from lightning_tying.lowering.state import TiedState, find_tied, require_state
from lightning_tying.spec.nearest import nearest_name


def find_one(module: nn.Module, name: str) -> tuple[str, nn.Module, TiedState, SharingGroup]:
    """The tied module that has a sharing group, or a parameter of that FQN that nothing binds.

    Args:
        module: a tied module, or one with tied modules inside.
        name: of the group as plans print it, or an FQN, with or without the path of the tied module.

    Returns:
        The tied module's path, itself, what it remembers, and the group; of one use for a free parameter.

    Raises:
        ApplyError: nothing, or more than one thing, is called so; or its values are not there yet.
    """
    tied = list(find_tied(module))
    if not tied:
        require_state(module)
    found: list[tuple[str, nn.Module, TiedState, SharingGroup]] = []
    for path, root, state in tied:
        names = (name, name.removeprefix(f"{path}.") if path else name)
        group = next((each for one in names if (each := find_edited(state.plan.graph, one)) is not None), None)
        if group is not None:
            found.append((path, root, state, group))
    if len(found) > 1:
        raise ApplyError(
            f"`{name}` is in {' and in '.join(path or 'the module' for path, *_ in found)}. Pass one of them."
        )
    if not found:
        raise ApplyError(_explain_missing(name, [state for _, _, state in tied]))
    path, root, state, group = found[0]
    if state.pending or any(parameter.is_meta for parameter in root.parameters()):
        raise ApplyError(
            f"The module of `{name}` is on the meta device and has no values to carry along. Write the sharing into "
            "its spec, or call to_empty and load its weights first."
        )
    return path, root, state, group


def _explain_missing(name: str, states: list[TiedState]) -> str:
    names = [str(group.name) for state in states for group in state.plan.graph.groups]
    names += [fqn for state in states for fqn, _ in state.plan.graph.private]
    near = nearest_name(name, names)
    hint = f" Nearest: {near}." if near else f" There are: {', '.join(names[:8])}." if names else " Nothing is tied."
    return f"`{name}` is not a shared parameter of this module.{hint}"
