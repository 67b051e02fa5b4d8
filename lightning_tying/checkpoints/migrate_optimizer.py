"""A saved optimizer, the optimizers of both models and where parameters come from go in, the saved state for B out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.optim import Optimizer

from lightning_tying.checkpoints.moments import migrate_moments
from lightning_tying.checkpoints.origins import Origin
from lightning_tying.errors import ConfigError

_RATES = ("lr", "initial_lr", "max_lr", "min_lr")  # of a parameter group: what a schedule moves, times the policy


def migrate_optimizer(
    saved: Mapping[str, Any],
    source: Optimizer,
    target: Optimizer,
    names: tuple[Mapping[int, str], Mapping[int, str]],
    origins: Mapping[str, Origin],
) -> dict[str, Any]:
    """What the target's optimizer would have saved.

    Args:
        saved: of the source's optimizer, as `Optimizer.state_dict` gives it.
        source: made for the source's module, as it was when the run began; its groups say what policy a group has.
        target: made for the target's.
        names: first names of the parameters by id, in model order, of the source's module and of the target's.
        origins: where the target's parameters come from.

    Raises:
        ConfigError: the saved state is of another optimizer than the source's.
    """
    held = [parameter for group in source.param_groups for parameter in group["params"]]
    _check_groups(saved, source)
    states = saved["state"]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    by_name: dict[str, Mapping[str, Any]] = {}
    for number, parameter in zip(numbers, held, strict=True):  # torch loads by position, whatever the numbers are
        if number in states:
            name = names[0][id(parameter)]
            _check_shapes(name, parameter, states[number])
            by_name[name] = states[number]
    moved = migrate_moments(by_name, origins)
    places = {name: place for place, name in enumerate(names[1].values())}  # strategies that shard number by the model
    groups = _make_groups(saved["param_groups"], source.param_groups, target.param_groups)
    for made, group in zip(groups, target.param_groups, strict=True):
        made["params"] = [places[names[1][id(parameter)]] for parameter in group["params"]]
    wanted = {number for made in groups for number in made["params"]}
    return {
        "state": {places[name]: state for name, state in moved.items() if places[name] in wanted},
        "param_groups": groups,
    }


def migrate_schedule(
    saved: Mapping[str, Any], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """A schedule's saved state, whose lists have one entry for each parameter group, for other groups.

    Args:
        saved: of the schedule.
        before: the groups of the saved optimizer.
        after: the groups that `migrate_optimizer` made.
    """
    chosen = [_like(group, before) for group in after]
    made: dict[str, Any] = {}
    for key, value in saved.items():
        entries = cast("list[Any]", value) if isinstance(value, list) else []
        if len(entries) != len(before):
            made[key] = value
            continue
        one = [entries[number] for number in chosen]
        if key in ("base_lrs", "_last_lr", "min_lrs", "max_lrs"):
            one = [
                rate * _ratio(after[place].get("initial_lr", after[place]["lr"]), _rate(before[number]))
                for place, (rate, number) in enumerate(zip(one, chosen, strict=True))
            ]
        made[key] = one
    return made


def _make_groups(
    saved: Sequence[Mapping[str, Any]], source: Sequence[Mapping[str, Any]], target: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for fresh in target:
        place = _like(fresh, source)
        old = saved[place]
        options = {key: value for key, value in fresh.items() if key != "params"}
        options |= {key: value for key, value in old.items() if key not in ("params", "weight_decay", "lr_scale")}
        ratio = _ratio(fresh["lr"], source[place]["lr"])
        options |= {key: old[key] * ratio for key in _RATES if key in old}
        made.append(options)
    return made


def _like(group: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> int:
    """The group among others with the same policy, else the first whose rate is not 0."""
    wanted = _policy(group)
    same = [number for number, other in enumerate(others) if _policy(other) == wanted]
    moving = [number for number, other in enumerate(others) if _rate(other) != 0]
    return next(iter([*same, *moving, 0]))


def _policy(group: Mapping[str, Any]) -> tuple[object, object]:
    return group.get("lr_scale", _rate(group)), group.get("weight_decay")


def _rate(group: Mapping[str, Any]) -> float:
    return float(group.get("initial_lr", group["lr"]))


def _ratio(one: float, other: float) -> float:
    return 1.0 if other in (one, 0) else float(one) / float(other)


def _check_groups(saved: Mapping[str, Any], source: Optimizer) -> None:
    here = [len(group["params"]) for group in source.param_groups]
    there = [len(group["params"]) for group in saved["param_groups"]]
    if here != there:
        raise ConfigError(
            f"The checkpoint's optimizer holds {there} parameters in its groups, and the one of this config {here}. "
            "Give the config and the spec that the checkpoint was made with (--config, --from)."
        )


def _check_shapes(name: str, parameter: nn.Parameter, state: Mapping[str, Any]) -> None:
    moment = state.get("exp_avg", state.get("momentum_buffer"))
    if isinstance(moment, Tensor) and moment.shape != parameter.shape:
        raise ConfigError(
            f"The checkpoint's optimizer has a state of the shape {list(moment.shape)} for {name}, which is "
            f"{list(parameter.shape)}. Its parameters are in another order than this config's."
        )
