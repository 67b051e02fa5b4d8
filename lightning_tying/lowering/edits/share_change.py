"""A tied module after a change of its layers in; what was made for one member of a group is read by all out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGroup, TensorMeta, Use
from lightning_tying.lowering.derive import find_places
from lightning_tying.lowering.link import link
from lightning_tying.lowering.plan import Plan, make_steps
from lightning_tying.lowering.reset import install_resets, remove_resets
from lightning_tying.lowering.resolve import own_modules, own_parameters, walk_modules
from lightning_tying.lowering.state import TiedState
from lightning_tying.spec.schema import Init

_PACKED = "_packed_params"  # where torch's quantized layers keep weight and bias


def note_tensors(root: nn.Module, state: TiedState) -> Mapping[str, frozenset[str]]:
    """By site, the names of all tensors in its module before a change."""
    return {site: frozenset(_list_tensors(_find_module(root, site))) for site in state.plan.sites}


def share_made(root: nn.Module, state: TiedState, hit: frozenset[str], noted: Mapping[str, frozenset[str]]) -> None:
    """Link the new tensors of each changed group, and let the plan name them in place of the sites that are gone.

    Args:
        root: the tied module, changed.
        state: what it remembers; its plan becomes the one of the new parameters.
        hit: the sites that were replaced.
        noted: what `note_tensors` found before.

    Raises:
        ApplyError: the members of a group were changed differently.
    """
    groups: list[SharingGroup] = []
    for group in state.plan.graph.groups:
        if len(group.uses) > 1 and hit.intersection(group.sites):
            groups += _share_group(root, group, noted)
        else:
            groups.append(group)
    graph = replace(state.plan.graph, groups=tuple(groups))
    remove_resets(root)
    state.whole = state.whole or state.plan
    state.plan, state.penalties = Plan(state.plan.spec, graph, make_steps(graph)), None
    link(state.plan.links, find_places(state.plan, root))
    install_resets(state.plan, root)


def _share_group(root: nn.Module, group: SharingGroup, noted: Mapping[str, frozenset[str]]) -> list[SharingGroup]:
    """The groups that take the place of one: itself, one for each new parameter, or none."""
    made = {site: _find_made(_find_module(root, site), site, noted[site]) for site in group.sites}
    first = made[group.owner]
    for site in group.sites[1:]:
        _check_alike(group, site, first, made[site])
    for site in group.sites[1:]:
        _share_buffers(_find_module(root, group.owner), _find_module(root, site), first)
    if not first:
        _share_packed(root, group)
    parameters = {key: tensor for key, tensor in first.items() if isinstance(tensor, nn.Parameter)}
    if list(parameters) == [_name(group.owner)]:
        return [group]  # the same name holds another parameter: the plan stays as it is
    return [_make_group(group, key, tensor) for key, tensor in parameters.items()]


def _make_group(group: SharingGroup, key: str, tensor: nn.Parameter) -> SharingGroup:
    dtype = str(tensor.dtype).removeprefix("torch.")
    return SharingGroup(
        ParameterName(f"{group.name.family}.{key.rpartition('.')[2]}", group.name.index),
        tuple(Use(_join(use.site, key), use.grad) for use in group.uses),
        TensorMeta(tuple(tensor.shape), dtype, str(tensor.device), tensor.requires_grad),
        replace(group.policy, init=Init("first"), init_sites=(), dtype=None),
    )


def _check_alike(group: SharingGroup, site: str, first: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    one, two = (
        {key: (type(each.data), each.shape, each.dtype) for key, each in made.items()} for made in (first, other)
    )
    if one != two:
        raise ApplyError(
            f"`{group.name}`: the change made {', '.join(one) or 'no tensor'} for {group.owner} and "
            f"{', '.join(two) or 'no tensor'} for {site}, or of other shapes or types, so they cannot be shared. "
            "Nothing has changed; on_tied='untie' parts them."
        )


def _share_buffers(owner: nn.Module, other: nn.Module, made: Mapping[str, Tensor]) -> None:
    """Masks and the like: of equal values wherever the module goes, since all start as one tensor."""
    for key, tensor in made.items():
        if not isinstance(tensor, nn.Parameter):
            path, _, name = key.rpartition(".")
            source, target = owner.get_submodule(path), other.get_submodule(path)
            setattr(target, name, getattr(source, name))


def _share_packed(root: nn.Module, group: SharingGroup) -> None:
    """Quantized layers keep weight and bias in one object, which is shared where the biases are equal."""
    holders = {site: _find_module(root, site) for site in group.sites}
    owner = holders[group.owner]
    packed = own_modules(owner).get(_PACKED)
    for site, holder in holders.items():
        if packed is None or type(holder) is not type(owner) or not _have_equal_bias(owner, holder):
            raise ApplyError(
                f"`{group.name}`: after the change {group.owner} and {site} are {type(owner).__name__} and "
                f"{type(holder).__name__} without a tensor that both could read, or with different biases. Nothing "
                "has changed; on_tied='untie' parts them."
            )
    for holder in holders.values():
        own_modules(holder)[_PACKED] = packed


def _have_equal_bias(one: nn.Module, other: nn.Module) -> bool:
    biases = [each.bias() if callable(each.bias) else each.bias for each in (one, other)]
    first, second = biases
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.shape == second.shape and bool((first == second).all())
    return first is None and second is None


def _find_made(module: nn.Module, site: str, before: frozenset[str]) -> dict[str, Tensor]:
    """What a change made for one tensor of a module: the tensor itself if it is there, else new ones of its name."""
    name = _name(site)
    held = own_parameters(module).get(name)
    if held is not None:
        return {name: held}
    mine = re.compile(rf"(^|\.){re.escape(name)}([._]|$)")
    return {key: each for key, each in _list_tensors(module).items() if key not in before and mine.search(key)}


def _list_tensors(module: nn.Module) -> dict[str, Tensor]:
    parameters = dict[str, Tensor](module.named_parameters(remove_duplicate=False))
    return parameters | dict(module.named_buffers(remove_duplicate=False))


def _find_module(root: nn.Module, site: str) -> nn.Module:
    path = site.rpartition(".")[0]
    return next(part for at, part in walk_modules(root) if at == path) if path else root


def _name(site: str) -> str:
    return site.rpartition(".")[2]


def _join(site: str, key: str) -> str:
    path = site.rpartition(".")[0]
    return f"{path}.{key}" if path else key
