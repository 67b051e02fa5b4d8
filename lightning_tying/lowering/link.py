"""Links and places in; every place holds its keeper's parameter afterwards, or nothing has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from lightning_tying.lowering.plan import Alias
from lightning_tying.lowering.resolve import Slot


def link(links: Iterable[Alias], slots: Mapping[str, Slot]) -> list[Alias]:
    """Make links that have been checked.

    Args:
        links: of a plan.
        slots: of every place in them.

    Returns:
        The links that had to be made; one that holds needs nothing.

    Raises:
        TieBroken: a parameter is missing; nothing has changed.
    """
    read = {slot.site: slot.read() for slot in slots.values()}
    broken = [step for step in links if read[step.site] is not read[step.owner]]
    written: list[tuple[Slot, nn.Parameter]] = []
    try:
        for step in broken:
            slot = slots[step.site]
            slot.write(read[step.owner])
            written.append((slot, read[step.site]))
    except BaseException:
        for slot, before in reversed(written):  # a module may refuse an attribute: all or nothing
            slot.write(before)
        raise
    return broken
