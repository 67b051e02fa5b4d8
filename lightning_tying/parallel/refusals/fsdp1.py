"""A tied network and an FSDP1 wrapping policy in; nothing out when every sharing group stays in one unit."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# torch's wrapping policies are typed in part only.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, TypeAlias, cast

from torch import nn

from lightning_tying.errors import ApplyError
from lightning_tying.graph.ir import SharingGraph, SharingGroup
from lightning_tying.lowering.resolve import find_slots, own_modules

Policy: TypeAlias = "Callable[..., Any] | Set[type[nn.Module]] | Any"
"""What `FullyShardedDataParallel` takes as `auto_wrap_policy`, or a set of module classes as Lightning takes it."""


def check_fsdp1_policy(
    root: nn.Module,
    graph: SharingGraph,
    policy: Policy | None,
    ignored: Iterable[nn.Module] = (),
    *,
    tied: nn.Module | None = None,
) -> None:
    """Refuse a policy that would flatten one shared parameter into two units.

    The policy is asked as FSDP would ask it; nothing is wrapped.

    Args:
        root: what is going to be wrapped.
        graph: of the plan.
        policy: None wraps the root alone, which splits nothing.
        ignored: modules that FSDP leaves alone.
        tied: the tied network inside `root`; by default `root` itself.

    Raises:
        ApplyError: naming the groups, the units and what to write instead.
    """
    if policy is None:
        return
    units = find_wrapped(root, policy, frozenset(ignored))
    homes = _find_homes(root, units)
    split = [text for group in graph.groups if (text := _describe_split(group, tied or root, homes))]
    if split:
        raise ApplyError(
            "\n".join(
                [
                    "This FSDP policy would put one shared parameter into several units, which torch's FSDP1 trains "
                    "wrongly or not at all:",
                    *split,
                    "Use a policy that wraps the parent which these modules have in common (or no policy), or FSDP2: "
                    "strategy=ModelParallelStrategy(tensor_parallel_size=1), whose units are planned from the spec.",
                ]
            )
        )


def find_wrapped(root: nn.Module, policy: Policy, ignored: Set[nn.Module] = frozenset()) -> dict[nn.Module, str]:
    """The modules that a policy would wrap, with their first FQN; the root, which is always wrapped, is left out."""
    names = {module: path for path, module in root.named_modules()}
    if isinstance(policy, (set, frozenset)):
        kinds = tuple(cast("Iterable[type[nn.Module]]", policy))
        return {module: path for module, path in names.items() if path and isinstance(module, kinds)}
    run = getattr(policy, "_run_policy", None)
    if run is not None:  # ModuleWrapPolicy and CustomPolicy; torch has no public name for asking them
        chosen = cast("Mapping[nn.Module, object]", run(root, set(ignored), {}))
        return {module: path for module, path in names.items() if path and module in chosen}
    found: set[nn.Module] = set()
    _ask(root, cast("Callable[..., Any]", policy), ignored, found, is_root=True)
    return {module: path for module, path in names.items() if module in found}


def _ask(
    module: nn.Module, policy: Callable[..., Any], ignored: Set[nn.Module], found: set[nn.Module], *, is_root: bool
) -> int:
    """Ask a function as torch's recursive wrapping does; returns how many cells would be wrapped."""
    cells = sum(parameter.numel() for parameter in module.parameters())
    if not policy(module=module, recurse=True, nonwrapped_numel=cells):
        return 0
    wrapped = sum(
        _ask(child, policy, ignored, found, is_root=False) for child in module.children() if child not in ignored
    )
    if not is_root and policy(module=module, recurse=False, nonwrapped_numel=cells - wrapped):
        found.add(module)
        return cells
    return wrapped


def _find_homes(root: nn.Module, units: Mapping[nn.Module, str]) -> dict[int, str]:
    """By module's identity, the unit whose flat parameter takes its parameters: the nearest one above."""
    homes: dict[int, str] = {}

    def visit(module: nn.Module, home: str) -> None:
        home = units.get(module, home)
        if homes.setdefault(id(module), home) == home:
            for child in own_modules(module).values():
                if child is not None:
                    visit(child, home)

    visit(root, "the root")
    return homes


def _describe_split(group: SharingGroup, tied: nn.Module, homes: Mapping[int, str]) -> str:
    by_home: dict[str, str] = {}
    for place, slot in find_slots(tied, group.places).items():
        by_home.setdefault(homes.get(id(slot.module), "the root"), place)
    if len(by_home) < 2:
        return ""
    listed = "; ".join(f"{place} in the unit {home}" for home, place in list(by_home.items())[:4])
    return f"`{group.name}`: {listed}{' …' if len(by_home) > 4 else ''}"
