"""All rows of the survival table, under the headings of its page."""

from __future__ import annotations

from tests.survival import conversions, layers, loads, sharding, vocabulary, wrappers
from tests.survival.operation import Operation

SECTIONS: dict[str, tuple[Operation, ...]] = {
    "Moving and converting": conversions.OPERATIONS,
    "Loading, copying, other processes": loads.OPERATIONS,
    "Compiling, checkpointing activations, exporting, averaging": wrappers.OPERATIONS,
    "Layers that are replaced": layers.OPERATIONS,
    "Vocabularies": vocabulary.OPERATIONS,
    "Sharding": sharding.OPERATIONS,
}
