"""A batch of a joint run goes in; the members that it is for, each with its own part, come out."""

# pyright: reportUnknownMemberType=false
# Lightning is typed in part only.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from lightning_tying.errors import ConfigError


def find_parts(
    batch: object, members: Sequence[str], loaders: object, place: int, stage: str | None
) -> list[tuple[str, Any]]:
    """Divide a batch.

    Args:
        batch: `{member: batch}`, a part that is None left out; or, outside of training, the batch of one member.
        members: their names.
        loaders: what the trainer has for this stage: a mapping tells the member by the place.
        place: the loader's, from 0.
        stage: `val`, `test` or `predict`; None in training.

    Returns:
        Members with their parts, in the order of the members.

    Raises:
        ConfigError: a part is of no member, or a batch is of nobody in particular.
    """
    parts: dict[str, Any] = dict(cast("Mapping[str, Any]", batch)) if isinstance(batch, Mapping) else {}
    if parts and (stage is None or parts.keys() <= set(members)):
        unknown = [str(name) for name in parts if name not in members]
        if unknown:
            raise ConfigError(
                f"A batch has `{'`, `'.join(unknown)}`, which are no members. A batch of a joint training is "
                f"{{member: batch}}, with the members {', '.join(members)}: JointData makes such, or CombinedLoader."
            )
        return [(name, parts[name]) for name in members if parts.get(name) is not None]
    if stage is None:
        raise ConfigError(
            f"A batch of a joint training is {{member: batch}}, with the members {', '.join(members)}, and the data "
            f"gives an object of type {type(cast(object, batch)).__name__}. Use JointData, or "
            "CombinedLoader({member: loader})."
        )
    names = list(cast("Mapping[str, Any]", loaders)) if isinstance(loaders, Mapping) else [*members]
    if place >= len(names) or names[place] not in members:
        raise ConfigError(
            f"The {stage} loader {place} is of no member. Give one loader for each, by name: {', '.join(members)}."
        )
    return [(names[place], batch)]


def check_draws(trainer: Any) -> None:
    """Refuse data that draw one member a step under a DDP that waits for the gradients of all.

    Raises:
        ConfigError: saying how to tell DDP.
    """
    draws = getattr(trainer.datamodule, "sampling", None) is not None and hasattr(trainer.datamodule, "members")
    options = getattr(trainer.strategy, "_ddp_kwargs", None)  # DDPStrategy keeps them under no other name
    if draws and options is not None and not options.get("find_unused_parameters"):
        raise ConfigError(
            "JointData draws one member a step (`sampling`), and DDP waits for the gradients of all. Write "
            "trainer.strategy: ddp_find_unused_parameters_true, or leave `sampling` out."
        )
