"""A module and patterns in; the sharing groups whose uses are to be measured out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch import nn

from lightning_tying.errors import ConfigError
from lightning_tying.gradients.shared import SharedParameter, find_shared
from lightning_tying.gradients.sinks.by_member import MODELS
from lightning_tying.spec.nearest import suggest

_MOST = 12  # names in a message


def choose_groups(module: nn.Module, patterns: Sequence[str] | None) -> list[SharedParameter]:
    """The trainable groups whose name, or one of whose places, a pattern matches.

    Args:
        module: tied, or with tied modules inside.
        patterns: names in which `*` is any text: `block[*]`, `lm_head.weight`; None for all that are shared.

    Returns:
        In model order. None are left where nothing is shared or all is frozen.

    Raises:
        ConfigError: a pattern matches nothing, or frozen groups alone.
    """
    found = list(find_shared(module).values())
    for pattern in patterns or ():
        _check_pattern(pattern, found, [each for each in found if _is_meant(each, pattern)])
    return find_left(module, patterns)


def find_left(module: nn.Module, patterns: Sequence[str] | None) -> list[SharedParameter]:
    """The same in a training that goes on: a pattern that matches nothing any more, or yet, is no mistake.

    Args:
        module: as for `choose_groups`.
        patterns: as for `choose_groups`.
    """
    found = list(find_shared(module).values())
    if patterns is None:
        return [each for each in found if each.bound and is_trained(each)]
    return [each for each in found if any(_is_meant(each, one) for one in patterns) and is_trained(each)]


def is_trained(shared: SharedParameter) -> bool:
    """Whether the shared parameter gets a gradient."""
    parameter = shared.parameter()
    return parameter is not None and parameter.requires_grad


def _check_pattern(pattern: str, found: Iterable[SharedParameter], chosen: Iterable[SharedParameter]) -> None:
    meant = [each for each in chosen if _is_meant(each, pattern)]
    if not meant:
        known = [str(each.name) for each in found if each.bound]
        near = suggest(pattern, [*known, *(holder.place for each in found for holder in each.holders)])
        more = f" and {len(known) - _MOST} more" if len(known) > _MOST else ""
        listed = f"The groups of this model: {', '.join(known[:_MOST])}{more}." if known else "Nothing is shared here."
        raise ConfigError(f"GradientStability: no sharing group matches `{pattern}`.{near} {listed}")
    if not any(map(is_trained, meant)):
        names = ", ".join(str(each.name) for each in meant[:_MOST])
        raise ConfigError(
            f"GradientStability: `{pattern}` matches frozen groups alone ({names}); they have no gradients. Unfreeze "
            "them, or leave the pattern out."
        )


def _is_meant(shared: SharedParameter, pattern: str) -> bool:
    meant = re.compile(".*".join(re.escape(part) for part in pattern.split("*")))
    names = [str(shared.name), *(holder.place for holder in shared.holders)]
    return any(meant.fullmatch(name) for name in names)


def check_members(module: nn.Module) -> None:
    """Refuse to measure by member what has no members.

    Raises:
        ConfigError: the module has no `models` of two or more.
    """
    models = dict(module.named_children()).get(MODELS)
    if models is None or len(list(models.children())) < 2:
        raise ConfigError(
            f"GradientStability: by: member is for models that train together, and {type(module).__name__} has no "
            f"`{MODELS}` of two or more. Write by: use, or train a JointTraining."
        )
