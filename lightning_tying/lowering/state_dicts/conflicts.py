"""State dicts with two values for one shared parameter in; the differences as data, or one value by a policy, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor

from lightning_tying.errors import ConfigError
from lightning_tying.graph.ir import SharingGroup
from lightning_tying.lowering.draw_into import is_sharded
from lightning_tying.lowering.plan import Plan

ConflictPolicy: TypeAlias = Literal["error", "owner", "mean", "untie"]
CONFLICT_POLICIES: tuple[str, ...] = get_args(ConflictPolicy)


@dataclass(frozen=True)
class Difference:
    """How one entry differs from the first one of its group.

    Args:
        place: the FQN of the entry.
        largest: the largest absolute difference; infinite where only one of the two is a number.
        where: the index of it.
        count: how many numbers differ.
        size: of how many; with a sharded tensor, those of this process.
    """

    place: str
    largest: float
    where: tuple[int, ...]
    count: int
    size: int

    def __str__(self) -> str:
        return f"by up to {self.largest:.3g} at {list(self.where)}, {self.count:,} of {self.size:,} numbers"


@dataclass(frozen=True)
class Conflict:
    """A sharing group that a state dict has several values for.

    Args:
        group: the group.
        places: the FQNs with an entry, the keeper first where it is there.
        differences: of the entries that are not equal to the first.
    """

    group: SharingGroup
    places: tuple[str, ...]
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        verb = "has" if len(self.differences) == 1 else "have"
        others = ", ".join(difference.place for difference in self.differences)
        how = "; ".join(
            str(difference) if len(self.differences) == 1 else f"{difference.place} {difference}"
            for difference in self.differences[:3]
        )
        more = f"; and {len(self.differences) - 3} more" if len(self.differences) > 3 else ""
        what = f"{others} {verb} another value than {self.places[0]} here"
        return f"`{self.group.name}` is one parameter, and {what} ({how}{more})."


def check_policy(policy: object) -> None:
    """Refuse what is no policy.

    Raises:
        ConfigError: naming the policies.
    """
    if policy not in CONFLICT_POLICIES:
        raise ConfigError(f"`on_conflict` is one of {', '.join(CONFLICT_POLICIES)}, not {policy!r}.")


def find_conflicts(state: Mapping[str, Any], names: Mapping[str, str], plan: Plan) -> list[Conflict]:
    """The sharing groups whose entries do not all hold the same numbers.

    Args:
        state: a state dict.
        names: the keys of `state` by FQN; entries without a name here are not looked at.
        plan: of the module that it is for.
    """
    conflicts: list[Conflict] = []
    for group in plan.graph.groups:
        entries = {place: state[names[place]] for place in group.places if place in names}
        alike = _comparable(entries)
        if len(alike) > 1:
            (_, first), *others = alike.items()
            different = tuple(_measure(place, first, other) for place, other in others if differ(first, other))
            if different:
                conflicts.append(Conflict(group, tuple(alike), different))
    return conflicts


def settle_conflicts(
    state: MutableMapping[str, Any], names: Mapping[str, str], conflicts: Iterable[Conflict], policy: ConflictPolicy
) -> None:
    """Give all entries of each group one value, in place; tensors are replaced, not written to.

    Args:
        state: a state dict.
        names: its keys by FQN.
        conflicts: what `find_conflicts` found in it.
        policy: `owner` takes the owner's value (where it has no entry, that of the first site in model order that
            has one); `mean` the average over all entries, each name counted once, reckoned in float64.
    """
    for conflict in conflicts:
        values = [state[names[place]] for place in conflict.places]
        value = values[0] if policy == "owner" else average(values)
        for place in conflict.places:
            state[names[place]] = value


def average(values: Sequence[Tensor]) -> Tensor:
    """The mean of tensors of one shape, in float64 (complex128), then in the dtype of the first."""
    first = values[0].detach()
    wide = torch.complex128 if first.is_complex() else torch.float64
    total = first.to(wide)
    for value in values[1:]:
        total = total + value.detach().to(device=first.device, dtype=wide)
    return (total / len(values)).to(first.dtype)


def same_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same numbers at the same address."""
    first, second = _local(one), _local(other)
    if is_sharded(one):  # the part of a process may be empty, without an address; all have to answer alike
        storages = [each.untyped_storage()._cdata for each in (first, second)]  # pyright: ignore  # no public name
        same = storages[0] == storages[1] and first.storage_offset() == second.storage_offset()
    else:
        same = first.data_ptr() == second.data_ptr() and first.data_ptr() != 0
    return same and (first.dtype, first.device, first.shape, first.stride()) == (
        second.dtype,
        second.device,
        second.shape,
        second.stride(),
    )


def _comparable(entries: Mapping[str, Any]) -> dict[str, Tensor]:
    """The entries that are tensors with numbers and of one shape; the others are left to torch's own checks."""
    tensors = {place: each for place, each in entries.items() if isinstance(each, Tensor) and not each.is_meta}
    shape = next((tensor.shape for tensor in tensors.values()), None)
    return {place: tensor for place, tensor in tensors.items() if tensor.shape == shape}


def differ(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of one shape hold different numbers; what is no number equals itself."""
    if one is other or same_memory(one, other):
        return False
    sharded = next((each for each in (one, other) if is_sharded(each)), None)
    here = _differ_here(_local(one), _local(other))
    return here if sharded is None else _on_any_process(here, sharded)


def _differ_here(first: Tensor, second: Tensor) -> bool:
    if first.shape != second.shape:
        return False
    second = second.to(first)
    return not (torch.equal(first, second) or bool(torch.isclose(first, second, rtol=0, atol=0, equal_nan=True).all()))


def _measure(place: str, one: Tensor, other: Tensor) -> Difference:
    """How two entries that differ do so."""
    first, second = _local(one).detach(), _local(other).detach()
    if first.numel() == 0 or first.shape != second.shape:  # of a sharded tensor; another process has the difference
        return Difference(place, 0.0, (), 0, first.numel())
    wide = torch.complex128 if first.is_complex() else torch.float64
    first, second = first.to(wide), second.to(device=first.device, dtype=wide)
    same = (first == second) | (first.isnan() & second.isnan())
    distance = torch.where(same, 0.0, (first - second).abs().nan_to_num(nan=torch.inf, posinf=torch.inf))
    at = int(distance.argmax())
    where = tuple(int(index) for index in torch.unravel_index(torch.tensor(at), distance.shape))
    return Difference(place, float(distance.flatten()[at]), where, int((~same).sum()), same.numel())


def _on_any_process(here: bool, sharded: Any) -> bool:
    """Whether any process of a sharded tensor says so: all have to refuse a load, or the others would wait for it."""
    flag = torch.tensor(int(here), device=_local(sharded).device)
    for group in sharded.device_mesh.get_all_groups():
        torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MAX, group=group)  # pyright: ignore  # no stubs
    return bool(flag.item())


def _local(tensor: Tensor) -> Tensor:
    """The part of a DTensor that is here; comparing the whole would need all processes."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # pyright: ignore  # a DTensor, by the condition
