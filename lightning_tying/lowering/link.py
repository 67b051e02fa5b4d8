"""Steps and slots in; every alias reads its owner's parameter afterwards, or nothing has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from lightning_tying.lowering.plan import Alias
from lightning_tying.lowering.resolve import Slot


def link(steps: Iterable[Alias], slots: Mapping[str, Slot]) -> list[Alias]:
    """Carry out steps that have been checked.

    Args:
        steps: of a plan.
        slots: of every site and owner of them.

    Returns:
        The steps that had to be carried out; a tie that holds needs none.

    Raises:
        TieBroken: a parameter is missing; nothing has changed.
    """
    read = {slot.site: slot.read() for slot in slots.values()}
    broken = [step for step in steps if read[step.site] is not read[step.owner]]
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
