"""Bytes that a process sends in a step, by the rules of ring all-reduce and of sharding."""

from __future__ import annotations

from lightning_tying.graph.parts import TensorMeta
from lightning_tying.reports.reckoning.footprint import reckon_footprint
from lightning_tying.reports.reckoning.optimizer_state import ADAMW
from lightning_tying.reports.reckoning.traffic import Traffic

TRAINED = reckon_footprint(TensorMeta((10, 10)), ADAMW)
FROZEN = reckon_footprint(TensorMeta((10, 10), trainable=False), ADAMW)


def test_one_process_sends_nothing() -> None:
    assert Traffic().reckon(TRAINED) == 0
    assert Traffic("ddp", 1, "DDP").reckon(TRAINED) == 0


def test_a_ring_sends_gradients_twice_but_for_its_own_part() -> None:
    assert Traffic("ddp", 2, "DDP").reckon(TRAINED) == 400
    assert Traffic("ddp", 4, "DDP").reckon(TRAINED) == 600
    assert Traffic("ddp", 4, "DDP").reckon(FROZEN) == 0


def test_sharding_gathers_parameters_twice_and_scatters_gradients() -> None:
    assert Traffic("fsdp2", 4, "FSDP2").reckon(TRAINED) == 900
    assert Traffic("fsdp2", 4, "FSDP2").reckon(FROZEN) == 600


def test_what_is_not_known_is_not_guessed() -> None:
    assert Traffic("unknown", 2, "tensor parallel").reckon(TRAINED) is None
    assert str(Traffic("ddp", 2, "DDP")) == "DDP, 2 processes"
