"""Advice on planted trouble, and none on healthy runs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lightning_tying.reports.stability.advice import advise
from lightning_tying.reports.stability.record import Record
from lightning_tying.reports.stability.signs import find_alarms
from lightning_tying.reports.stability.summary import summarize
from lightning_tying.reports.stability.use_names import Numbering, number_uses
from tests.unit.reports.stability.samples import opposed, record


def uses(layers: list[int], part: str = "fc") -> list[str]:
    return [f"layers.{layer}.{part}.weight" for layer in layers]


def block(part: str, layers: int = 6, *, by: str = "cycle", steps: int = 5, seed: int = 0) -> list[Record]:
    name, names = f"block[{part}]", uses(list(range(layers)), part)
    return [record(step, name, opposed(layers, 100 * seed + step, by=by), names) for step in range(steps)]


@pytest.mark.parametrize(("by", "assignment"), [("cycle", "cycle(l, 2)"), ("sequence", "sequence(l, 2)")])
def test_layers_that_conflict_are_named_with_the_assignment_that_parts_them(by: str, assignment: str):
    (sentence,) = advise([each for part in ("q", "k") for each in block(part, by=by)])
    assert sentence.startswith("block[…]: layers ")
    assert sentence.endswith(f"conflict in 100 % of samples; consider {assignment}")


def test_the_share_of_samples_is_counted():
    """Layers 0 and 1 conflict in 5 of 7 samples, that is in 71 %."""
    signs = [-1.0] * 5 + [0.3] * 2
    records = [
        record(step, "block", torch.tensor([[1.0, 0, 0], [sign, 0.1, 0], [0, 0, 1.0], [0, 1.0, 0]]), uses([0, 1, 2, 3]))
        for step, sign in enumerate(signs)
    ]
    (told,) = advise(records * 8)  # 56 samples: enough to be sure
    assert told == "block: layers 0 and 1 conflict in 71 % of samples; consider cycle(l, 2)"


def test_a_family_of_two_blocks_is_parted_into_four():
    records = []
    for remainder in (0, 1):
        names = uses([remainder, remainder + 2, remainder + 4, remainder + 6])
        records += [record(step, f"block[fc, {remainder}]", opposed(4, step), names) for step in range(5)]
    (sentence,) = advise(records)
    assert sentence.endswith("consider cycle(l, 4)")


def test_where_parting_would_untie_all_a_delta_is_advised():
    records = [record(step, "block", opposed(2, step), uses([0, 1])) for step in range(5)]
    assert advise(records) == [
        "block: layers 0 and 1 conflict in 100 % of samples; consider a delta of its own for each, `+ low_rank(8)`"
    ]


def test_uses_without_numbers_go_by_name_and_get_a_delta():
    names = ["tower.left.weight", "tower.right.weight"]
    records = [record(step, "tower.left.weight", opposed(2, step), names) for step in range(5)]
    (sentence,) = advise(records)
    assert "tower.left.weight and tower.right.weight conflict" in sentence and "low_rank" in sentence


def test_calls_of_one_module_are_advised_to_be_layers():
    names = ["block.fc.weight", *(f"block.fc.weight (call {call})" for call in (2, 3, 4))]
    records = [record(step, "block.fc.weight", opposed(4, step), names) for step in range(5)]
    (sentence,) = advise(records)
    assert sentence.startswith("block.fc.weight: calls ")
    assert "instead of one module that is called again" in sentence


def test_a_use_that_dominates_is_named_with_its_share():
    names = ["embed.weight", "head.weight"]
    records = [record(step, "embed.weight", torch.tensor([[1.0, 0.0], [0.0, 9.0]]), names) for step in range(3)]
    assert advise(records) == [
        "embed.weight: head.weight has 90 % of the gradient; consider a smaller one for that use, `grad: {scale: 0.5}`"
    ]


def test_cancelling_without_pairs_asks_for_pairs():
    records = [replace(each, cosines=None, conflict=math.nan) for each in block("q")]
    (sentence,) = advise(records)
    assert "cancel each other" in sentence and "pairs: exact" in sentence


def test_what_is_not_finite_comes_first_with_step_and_use():
    broken = torch.ones(2, 4)
    broken[1, 2] = math.nan
    records = [*block("q"), record(3, "W", torch.ones(2, 4)), record(7, "W", broken)]
    sentences = advise(records)
    assert sentences[0].startswith("W: the gradient was not finite at step 7, first in layers.1.fc.weight; consider")
    assert "`parameters: {W: {lr: 0.1}}`" in sentences[0]
    assert "conflict" in sentences[1]


def test_spikes_and_large_steps_are_told():
    calm = [record(step, "W", torch.ones(2, 4)) for step in range(4)]
    (spike,) = advise([*calm, replace(calm[0], step=9, spike=12.0)])
    assert "norm jumped at step 9" in spike
    fast = [replace(calm[0], step=step, update_to_weight=0.8) for step in (8, 9)]
    assert "step 9 moved it by more than half its size" in advise([*calm, *fast])[0]


def test_a_large_first_step_or_a_single_one_is_no_trouble():
    calm = [record(step, "W", torch.ones(2, 4)) for step in range(4)]
    one = replace(calm[0], step=9, update_to_weight=0.8)
    for records in ([*calm, one], [one, one, *calm]):
        assert "share as it is" in advise(records)[0]


def test_healthy_runs_get_no_warning():
    """Twenty runs of ten uses with independent gradients, and twenty with agreeing ones."""
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        noise = [record(s, "W", torch.randn(10, 64, generator=generator), uses(list(range(10)))) for s in range(10)]
        agree = [record(s, "V", 1 + torch.randn(10, 64, generator=generator), uses(list(range(10)))) for s in range(10)]
        told = {sentence.partition(":")[0]: sentence for sentence in advise([*noise, *agree])}
        assert "without conflict" in told["W"] and "share as it is" in told["W"]
        assert "the uses agree" in told["V"]
        assert not any(find_alarms(each) for each in (*noise, *agree))


def test_one_sample_is_too_little_to_speak_of_conflict():
    assert "conflict in" not in advise(block("q", steps=1))[0]


def test_gradients_that_are_0_are_said_to_be():
    assert "were 0" in advise([record(0, "W", torch.zeros(2, 3))])[0]


def test_alarms_of_one_record():
    broken = torch.tensor([[1.0, math.inf], [1.0, 1.0]])
    first = replace(record(40, "W", broken), update_to_weight=3.0, spike=20.0)
    alarms = find_alarms(first)
    assert [word for word in ("not finite", "spike", "300 %") if any(word in each for each in alarms)] == [
        "not finite",
        "spike",
        "300 %",
    ]
    assert "first in layers.0.fc.weight" in alarms[0]


def test_the_worst_group_comes_first():
    healthy = [record(step, "A", 1 + opposed(3, step) * 0.01) for step in range(5)]
    broken = [record(5, "Z", torch.full((2, 2), math.nan))]
    summaries = summarize([*healthy, *block("q"), *broken])
    assert [each.group for each in summaries] == ["Z", "block[q]", "A"]


def test_uses_that_change_between_samples_are_compared_with_the_last():
    records = [record(0, "W", torch.eye(3)), record(1, "W", torch.eye(2)), record(2, "W", torch.eye(2))]
    (summary,) = summarize(records)
    assert len(summary.uses) == 2 and summary.samples == 3 and summary.cosines == ((1, 0), (0, 1))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a.layers.0.w", "a.layers.11.w"], Numbering("layers", (0, 11))),
        (["0.weight", "1.weight"], Numbering("layers", (0, 1))),
        (["h.0.w", "h.1.w", "h.2.w"], Numbering("h", (0, 1, 2))),
        (["b.w", "b.w (call 2)"], Numbering("calls", (1, 2))),
        (["layers.0.w", "layers.0.w (call 2)", "layers.1.w", "layers.1.w (call 2)"], None),
        (["layers.0.q", "layers.1.k"], None),
        (["embed.weight", "head.weight"], None),
        (["a.b", "a.b.c"], None),
        (["a.0.w"], None),
    ],
)
def test_the_number_by_which_uses_differ(names: list[str], wanted: Numbering | None):
    assert number_uses(names) == wanted


def test_a_word_that_is_no_plural_is_told_as_a_path():
    assert Numbering("h", (0, 1)).tell(0, 1) == "h.0 and h.1"
    assert Numbering("layers", (0, 1)).tell(0, 1) == "layers 0 and 1"
