"""A batch goes in, how many samples it has comes out: in all, or for each member of a run with several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import cast

from torch import Tensor

from lightning_tying.errors import ConfigError


def count_samples(batch: object) -> int:
    """The rows of the first tensor in a batch; 0 where there is none."""
    first = next(_find_tensors(batch), None)
    return 0 if first is None or first.ndim == 0 else len(first)


def count_members(batch: object, members: Sequence[str]) -> dict[str, int]:
    """The samples of each member in a batch of parts by member, which may be of others too.

    Raises:
        ConfigError: the batch is no mapping of parts.
    """
    parts = dict(cast("Mapping[object, object]", batch)) if isinstance(batch, Mapping) else {"": batch}
    found = {member: parts[member] for member in members if member in parts}
    if not found and any(part is batch or isinstance(part, Tensor) for part in parts.values()):
        raise ConfigError(
            f"`weights: samples` needs batches with a part for each member ({', '.join(members)}), as a dict of "
            f"loaders gives them; this one is a {type(cast(object, batch)).__name__} without. Or write numbers."
        )
    return {member: count_samples(part) for member, part in found.items()}


def _find_tensors(batch: object) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for part in cast("Mapping[object, object]", batch).values():
            yield from _find_tensors(part)
    elif isinstance(batch, list | tuple):
        for part in cast("Sequence[object]", batch):
            yield from _find_tensors(part)
    elif is_dataclass(batch):
        for field in fields(batch):
            yield from _find_tensors(getattr(batch, field.name))
