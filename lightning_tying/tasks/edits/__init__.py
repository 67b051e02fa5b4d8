"""A module that trains and a split or a join in; the module, its optimizers and their followers edited together out."""

from lightning_tying.lowering.edits.record import EditRecord
from lightning_tying.tasks.edits.edit import join_in_training, split_in_training

__all__ = ["EditRecord", "join_in_training", "split_in_training"]
