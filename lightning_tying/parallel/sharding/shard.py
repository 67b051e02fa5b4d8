"""A tied module, a `ShardingPlan` and a mesh in; the same module out, sharded by FSDP2 unit by unit, its ties kept."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.lowering.resolve import own_parameters, walk_modules
from lightning_tying.lowering.runtime.parametrize import computed_sites
from lightning_tying.lowering.runtime.site_parametrization import SiteParametrization
from lightning_tying.lowering.state import find_tied
from lightning_tying.lowering.verify import verify_tied
from lightning_tying.parallel.sharding.module_tree import value_path
from lightning_tying.parallel.sharding.sharded_state import install_sharded_state
from lightning_tying.parallel.sharding.sharding_plan import ShardingPlan, ShardingUnit


def shard_network(root: nn.Module, plan: ShardingPlan, mesh: Any = None, **options: Any) -> None:
    """Call `fully_shard` for every unit of a plan, the root last. Once only, and after tying.

    Units of parametrizations compute in the parameters' own precision: of a mixed-precision policy they take what it
    says of reduction, and give their values in its `param_dtype`. A unit with plain readers besides gathers everything
    in that dtype, so that its values are computed there too, with as many roundings as they have operations.

    Args:
        root: that the plan was made for; tied already, on any device, meta too.
        plan: what `plan_units` returned.
        mesh: of one dimension, the processes that share a batch; None for all processes.
        options: `fully_shard`'s: `mp_policy`, `reshard_after_forward`, `offload_policy`.

    Raises:
        ApplyError: it is sharded already, or has what FSDP2 does not take; nothing has changed.
        TieBroken: a tie does not hold.
    """
    from torch.distributed.fsdp import fully_shard  # costs a second to import

    if is_fully_sharded(root):
        raise ApplyError(f"This {type(root).__name__} is sharded by fully_shard already. Shard it once.")
    if next(find_tied(root), None) is not None:
        verify_tied(root)
    modules = _find_modules(root)
    found = [(unit, _get_modules(unit, modules, root)) for unit in plan.units]
    _check_parameters(root, found)
    _mark_sites(root, found, options)
    for unit, members in found:
        chosen = _adapt_precision(unit, options)
        fully_shard(members[0] if len(members) == 1 else members, mesh=mesh, **chosen)
    install_sharded_state(root)


def is_fully_sharded(root: nn.Module) -> bool:
    """Whether `fully_shard` has been called for the module, or for one in it."""
    fsdp = sys.modules.get("torch.distributed.fsdp")  # without it nothing can be sharded yet
    return fsdp is not None and any(isinstance(module, fsdp.FSDPModule) for module in root.modules())


def _find_modules(root: nn.Module) -> dict[str, nn.Module]:
    modules: dict[str, nn.Module] = {}
    for path, module in walk_modules(root):
        modules.setdefault(path, module)  # of a wrapper and what it wraps the wrapper
    for path, _, site in computed_sites(root):
        modules[value_path(path, site.tensor_name)] = site
    return modules


def _get_modules(unit: ShardingUnit, modules: dict[str, nn.Module], root: nn.Module) -> list[nn.Module]:
    missing = [path for path in unit.modules if path not in modules]
    if missing:
        raise ApplyError(
            f"The sharding plan names {', '.join(missing[:5])}, which this {type(root).__name__} has not. "
            "Tie it first, and take the plan of plan_units(get_plan(module).graph, module)."
        )
    return [modules[path] for path in unit.modules]


def _check_parameters(root: nn.Module, found: Sequence[tuple[ShardingUnit, list[nn.Module]]]) -> None:
    """What torch would refuse with an assertion, in the first step or half way."""
    scalars = [name for name, parameter in root.named_parameters() if parameter.dim() == 0]
    problems = [f"{name} is a single number without a dimension; give it the shape [1]." for name in scalars]
    taken: set[int] = set()
    for unit, members in found:
        dtypes: defaultdict[torch.dtype, list[str]] = defaultdict(list)
        for name, parameter in _own(members, unit, taken):
            if parameter.requires_grad:
                dtypes[parameter.dtype].append(name)
        if len(dtypes) > 1:
            told = ", ".join(f"{names[0]} {str(dtype).removeprefix('torch.')}" for dtype, names in dtypes.items())
            where = ", ".join(unit.modules[:3]) or "module"
            problems.append(
                f"fully_shard({where}) would gather parameters of two dtypes: {told}. "
                "Give them one dtype, or write units that part them."
            )
    if problems:
        raise ApplyError("\n".join(["FSDP2 cannot shard this module:", *problems]))


def _own(members: list[nn.Module], unit: ShardingUnit, taken: set[int]) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters of a unit that no unit before it has."""
    for path, member in zip(unit.modules, members, strict=True):
        for inner, module in walk_modules(member):
            for name, parameter in own_parameters(module).items():
                if parameter is not None and id(parameter) not in taken:
                    taken.add(id(parameter))
                    yield ".".join(part for part in (path, inner, name) if part), parameter


def _mark_sites(
    root: nn.Module, found: Sequence[tuple[ShardingUnit, list[nn.Module]]], options: dict[str, Any]
) -> None:
    """Tell parametrizations when their parameters are there, and in which dtype their readers want the values."""
    for _, members in found:
        for member in members:
            if isinstance(member, SiteParametrization):
                member.gathered = True
    policy = options.get("mp_policy")
    if policy is not None and policy.param_dtype is not None:
        for _, _, site in computed_sites(root):
            site.given_as = policy.param_dtype


def _adapt_precision(unit: ShardingUnit, options: dict[str, Any]) -> dict[str, Any]:
    policy = options.get("mp_policy")
    if unit.kind != "values" or policy is None or policy.param_dtype is None:
        return options
    return {**options, "mp_policy": replace(policy, param_dtype=None, output_dtype=None)}
