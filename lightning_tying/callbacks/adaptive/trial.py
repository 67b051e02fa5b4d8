"""Parameters that may be one in; the validation loss before and with one value for all of them out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from lightning_tying.lowering.edits.rewire import PreparedEdit


def try_join(edit: PreparedEdit, measure: Callable[[], float]) -> float:
    """Measure with the joined value in every parameter of a join, which computes what the join would.

    The values are put back, bit for bit; nothing else is touched.

    Args:
        edit: of `prepare_join`, not carried out.
        measure: the loss.
    """
    kept, value = edit.values[0]
    parameters: list[nn.Parameter] = [kept, *edit.gone]
    before = [each.detach().clone() for each in parameters]
    try:
        with torch.no_grad():
            for each in parameters:
                each.copy_(value)
        return measure()
    finally:
        with torch.no_grad():
            for each, held in zip(parameters, before, strict=True):
                each.copy_(held)


def count_added(edit: PreparedEdit) -> int:
    """By how many parameters a model grows by an edit; below 0 where it shrinks."""
    made = sum(
        each.parameter.numel()
        for each in edit.carried
        if all(each.parameter is not source for source, _ in each.sources)
    )
    kept = {id(each.parameter) for each in edit.carried}
    return made - sum(each.numel() for each in edit.gone if id(each) not in kept)
