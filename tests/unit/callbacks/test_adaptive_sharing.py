"""AdaptiveSharing: it finds the sharing that was planted, undoes what does not help, and never guesses."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
from lightning.pytorch.loggers import CSVLogger

from lightning_tying import get_plan, tie
from lightning_tying.callbacks.adaptive.budget import Budget
from lightning_tying.callbacks.adaptive.join_on_redundancy import JoinOnRedundancy
from lightning_tying.callbacks.adaptive.policy import Policy
from lightning_tying.callbacks.adaptive.share_then_unshare import ShareThenUnshare
from lightning_tying.callbacks.adaptive.split_on_conflict import SplitOnConflict
from lightning_tying.callbacks.adaptive.view import Proposal, View
from lightning_tying.callbacks.adaptive_sharing import AdaptiveSharing
from lightning_tying.errors import ConfigError
from tests.slow import SLOW, slow
from tests.unit.callbacks.adaptive_runs import SHARED, TASKS, Tasks, fit, make_tasks, sites

CELLS = 12 * 12  # of the trunk


def quick_split(**options: Any) -> SplitOnConflict:
    return SplitOnConflict(**{"every_n_steps": 3, "samples": 4} | options)


def partition(module: Tasks) -> set[tuple[str, ...]]:
    """The sites of trunks by the parameter that they read."""
    found: dict[int, list[str]] = {}
    for name, task in module.network.items():
        found.setdefault(id(task["trunk"].weight), []).append(f"{name}.trunk.weight")
    return {tuple(each) for each in found.values()}


@pytest.mark.parametrize("seed", range(5))
def test_exactly_the_two_that_conflict_are_separated(seed: int, tmp_path: Path) -> None:
    adaptive = AdaptiveSharing(quick_split())
    module = make_tasks("two", seed)
    fit(tmp_path, module, adaptive, max_steps=40)
    assert partition(module) == {sites(0, 1, 2, 3), sites(4, 5)}
    (decision,) = adaptive.decisions
    assert decision.action == "split" and decision.evidence["between"] < -0.1 < decision.evidence["within"]


@pytest.mark.parametrize("seed", range(5 if SLOW else 2))
def test_two_that_conflict_with_each_other_too_are_each_alone(seed: int, tmp_path: Path) -> None:
    module = make_tasks("apart", seed)
    fit(tmp_path, module, AdaptiveSharing(quick_split()), max_steps=40)
    assert partition(module) == {sites(0, 1, 2, 3), sites(4), sites(5)}


@pytest.mark.parametrize("seed", range(5))
def test_tasks_that_agree_stay_together(seed: int, tmp_path: Path) -> None:
    adaptive = AdaptiveSharing(SplitOnConflict(every_n_steps=2, samples=5))
    fit(tmp_path, make_tasks("agree", seed), adaptive, max_steps=80)
    assert adaptive.decisions == ()


@slow
@pytest.mark.parametrize("seed", range(5))
def test_tasks_that_agree_stay_together_to_the_end(seed: int, tmp_path: Path) -> None:
    adaptive = AdaptiveSharing(SplitOnConflict(every_n_steps=5, samples=4))
    fit(tmp_path, make_tasks("agree", seed), adaptive, max_steps=1500)
    assert adaptive.decisions == ()


@pytest.mark.parametrize(("at", "step"), [(7, 7), (0.25, 10)])
def test_shares_then_unshares(at: Any, step: int, tmp_path: Path) -> None:
    adaptive = AdaptiveSharing(ShareThenUnshare(at))
    module, before = make_tasks("two"), 0
    before = sum(each.numel() for each in module.parameters())
    fit(tmp_path, module, adaptive, max_steps=40)
    assert len(partition(module)) == TASKS
    (decision,) = adaptive.decisions
    assert decision.step == step
    assert decision.parameters == before + (TASKS - 1) * CELLS == sum(each.numel() for each in module.parameters())
    assert module.losses[-1] < 0.9 * module.losses[step]


def test_training_is_the_same_until_after_the_split(tmp_path: Path) -> None:
    """Measuring changes nothing, and the split no output: losses are equal bit for bit up to the step after it."""
    found: list[list[float]] = []
    for adaptive in (None, AdaptiveSharing(quick_split())):
        module = make_tasks("two")
        fit(tmp_path, module, *([] if adaptive is None else [adaptive]), max_steps=14)
        found.append(module.losses)
        step = 0 if adaptive is None else adaptive.decisions[0].step
    plain, split = found
    assert step < 13 and plain[: step + 1] == split[: step + 1]
    assert plain[step + 1] != split[step + 1]


def test_a_join_that_does_not_help_is_undone_bit_for_bit(tmp_path: Path) -> None:
    """With the trials the run is the run without them: weights, optimizer, losses."""
    plain, tried = make_tasks("two", sharing=None), make_tasks("two", sharing=None)
    adaptive = AdaptiveSharing(JoinOnRedundancy(1e-9, 10, "*.trunk.weight", within=2.0, tries=2))
    first = rerun_plain(plain, tmp_path)
    second = rerun_plain(tried, tmp_path, adaptive)
    assert plain.losses == tried.losses
    assert [each.action for each in adaptive.decisions] == ["undo"] * 8
    assert all(each.evidence["rise"] >= 1e-9 for each in adaptive.decisions)
    for name, value in plain.state_dict().items():
        assert torch.equal(value, tried.state_dict()[name])
    for one, two in zip(first["state"].values(), second["state"].values(), strict=True):
        assert all(torch.equal(one[key], two[key]) for key in one)
    assert len({each.before for each in adaptive.decisions}) == 8  # nothing is tried twice


def rerun_plain(module: Tasks, folder: Path, *callbacks: Any) -> Any:
    torch.manual_seed(3)
    trainer = fit(folder, module, *callbacks, max_steps=41)
    return trainer.optimizers[0].state_dict()


def test_what_validation_does_not_notice_is_joined(tmp_path: Path) -> None:
    module = make_tasks("agree", sharing=None)
    start = module.network["task0"]["trunk"].weight.detach().clone()
    for task in module.network.values():
        task["trunk"].weight.data.copy_(start)
    policy = JoinOnRedundancy(0.5, 10, ["task0.*", "task1.*", "task2.*"], within=0.9)
    adaptive = AdaptiveSharing(policy)
    fit(tmp_path, module, adaptive, max_steps=60)
    joined = [each for each in adaptive.decisions if each.action == "join"]
    assert joined and all(each.evidence["rise"] < 0.5 for each in joined)
    assert sites(0, 1, 2) in partition(module)
    assert adaptive.decisions[-1].parameters == sum(each.numel() for each in module.parameters())


def test_what_a_policy_parted_is_not_joined_again(tmp_path: Path) -> None:
    policies = [quick_split(), JoinOnRedundancy(1e6, 10, "*trunk*", within=2.0, tries=5)]
    adaptive = AdaptiveSharing(policies)
    module = make_tasks("two")
    fit(tmp_path, module, adaptive, max_steps=60)
    assert [each.action for each in adaptive.decisions] == ["split"]
    assert partition(module) == {sites(0, 1, 2, 3), sites(4, 5)}


def test_never_above_the_budget(tmp_path: Path) -> None:
    module = make_tasks("apart")
    begun = sum(each.numel() for each in module.parameters())
    adaptive = AdaptiveSharing([quick_split(), Budget(begun + CELLS + 5)])
    fit(tmp_path, module, adaptive, max_steps=60)
    assert len(partition(module)) == 2  # three parts were wanted, and there is room for one more parameter
    split, *others = adaptive.decisions
    assert split.action == "split" and split.evidence["room"] == CELLS + 5
    assert all(each.action == "refuse" for each in others)
    assert max(each.parameters for each in adaptive.decisions) <= begun + CELLS + 5


def test_a_budget_without_room_refuses_and_training_goes_on(tmp_path: Path) -> None:
    module = make_tasks("two")
    begun = sum(each.numel() for each in module.parameters())
    adaptive = AdaptiveSharing([quick_split(), Budget(begun)])
    with pytest.warns(UserWarning, match="has room for 0 more"):
        fit(tmp_path, module, adaptive, max_steps=40)
    (decision,) = adaptive.decisions  # said once
    assert decision.action == "refuse" and partition(module) == {sites(*range(TASKS))}


def test_the_written_spec_gives_the_final_sharing(tmp_path: Path) -> None:
    adaptive = AdaptiveSharing(quick_split(), folder=tmp_path / "kept")
    module = make_tasks("two")
    fit(tmp_path, module, adaptive, max_steps=40, logger=CSVLogger(tmp_path))
    fresh = make_tasks("two", sharing=None)
    tie(fresh.network, tmp_path / "kept" / "adaptive-sharing.yaml")
    assert partition(fresh) == partition(module)
    assert get_plan(fresh.network).graph.partition() == get_plan(module.network).graph.partition()
    (line,) = (tmp_path / "kept" / "adaptive-sharing.jsonl").read_text().splitlines()
    assert json.loads(line) == adaptive.decisions[0].to_dict()
    page = (tmp_path / "kept" / "adaptive-sharing.html").read_text()
    assert "split" in page and "pull apart as 4 + 2" in page and "<svg" not in page.partition("<main>")[0]
    assert "tying/parameters" in next(tmp_path.rglob("metrics.csv")).read_text()


def test_the_same_seed_decides_the_same(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        adaptive = AdaptiveSharing([quick_split(), ShareThenUnshare(20)])
        module = make_tasks("two", 2)
        fit(tmp_path, module, adaptive, max_steps=22)
        found.append((adaptive.decisions, module.losses))
    assert found[0] == found[1]


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
        trainer.should_stop = trainer.global_step == self.step


@pytest.mark.parametrize("stop", [9, 14] if SLOW else [9])
def test_resumes_between_samples_and_between_edits(stop: int, tmp_path: Path) -> None:
    policies = lambda: [quick_split(), ShareThenUnshare(25)]  # noqa: E731  # fresh ones for each run
    whole, adaptive = make_tasks("two"), AdaptiveSharing(policies())
    fit(tmp_path, whole, adaptive, max_steps=30)
    assert [each.action for each in adaptive.decisions] == ["split"] * len(adaptive.decisions)
    keep = ModelCheckpoint(dirpath=tmp_path / "kept", save_last=True, every_n_train_steps=1)
    first = make_tasks("two")
    fit(tmp_path, first, AdaptiveSharing(policies()), StopAt(stop), keep, max_steps=30, enable_checkpointing=True)
    again, resumed = make_tasks("two", 7), AdaptiveSharing(policies())
    fit(tmp_path, again, resumed, ckpt_path=tmp_path / "kept" / "last.ckpt", max_steps=30)
    assert [(each.action, each.before, each.after) for each in resumed.decisions] == [
        (each.action, each.before, each.after) for each in adaptive.decisions
    ]
    assert partition(again) == partition(whole)


def test_averaged_copies_follow(tmp_path: Path) -> None:
    module = make_tasks("two")
    fit(tmp_path, module, WeightAveraging(), AdaptiveSharing(ShareThenUnshare(10)), max_steps=20)
    assert len(partition(module)) == TASKS


def test_dry_runs_write_nothing(tmp_path: Path) -> None:
    fit(tmp_path, make_tasks("two"), AdaptiveSharing(ShareThenUnshare(1)), max_steps=-1, fast_dev_run=3)
    assert not list(tmp_path.rglob("adaptive-sharing*"))


def test_accumulated_batches_are_one_sample(tmp_path: Path) -> None:
    module = make_tasks("two")
    fit(tmp_path, module, AdaptiveSharing(quick_split()), max_steps=30, accumulate_grad_batches=2, max_epochs=9)
    assert partition(module) == {sites(0, 1, 2, 3), sites(4, 5)}


def test_is_pickled(tmp_path: Path) -> None:
    adaptive = AdaptiveSharing(ShareThenUnshare(5))
    fit(tmp_path, make_tasks("two"), adaptive, max_steps=10)
    assert pickle.loads(pickle.dumps(adaptive)).decisions == adaptive.decisions


class Eager(Policy):
    """A policy of somebody who wants to edit at every step."""

    every_n_steps = 1

    def propose(self, view: View) -> Sequence[Proposal]:
        return []


BAD = {
    "no policy": (lambda: AdaptiveSharing([]), "is a policy or a list"),
    "not a policy": (lambda: AdaptiveSharing(["SplitOnConflict"]), "is a policy or a list"),  # type: ignore[list-item]
    "twice": (lambda: AdaptiveSharing([quick_split(), quick_split()]), "two policies are called SplitOnConflict"),
    "budget alone": (lambda: AdaptiveSharing(Budget(10)), "Budget alone"),
    "every step": (lambda: SplitOnConflict(samples=2, every_n_steps=1), "every 2 steps"),
    "own class": (lambda: AdaptiveSharing(Eager()), "Eager could edit the sharing every 1 step,"),
    "one sample": (lambda: SplitOnConflict(samples=1), "samples is a whole number, 2 or more"),
    "threshold": (lambda: SplitOnConflict(threshold=1.0), "threshold"),
    "epsilon": (lambda: JoinOnRedundancy(0), "epsilon is a number above 0"),
    "init": (lambda: JoinOnRedundancy(1, init="median"), "mean, first, largest"),  # type: ignore[arg-type]
    "at": (lambda: ShareThenUnshare(True), "between 0 and 1, not True"),
    "at 1.0": (lambda: ShareThenUnshare(1.5), "between 0 and 1"),
    "groups": (lambda: ShareThenUnshare(5, []), "groups is a name"),
    "budget": (lambda: Budget(0), "1 or more"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case: str) -> None:
    make, text = BAD[case]
    with pytest.raises(ConfigError, match=text):
        make()


HOPELESS = {
    "budget is passed already": ([quick_split(), Budget(100)], SHARED, {}, "begins with"),
    "budget will be passed": ([ShareThenUnshare(5), Budget(2500)], SHARED, {}, "brings the model from 2016 to 2736"),
    "nothing shared": ([quick_split()], None, {}, "nothing is shared that could conflict"),
    "nothing to part": ([ShareThenUnshare(5)], None, {}, "nothing is shared that could be parted"),
    "too late": ([ShareThenUnshare(99)], SHARED, {}, "after the end of the run, which has 40"),
    "unknown group": ([quick_split(groups="trunks")], SHARED, {}, "matches `trunks`.*trunk"),
    "no validation": ([JoinOnRedundancy(1)], None, {"limit_val_batches": 0}, "this run has no validation"),
    "no such loss": ([JoinOnRedundancy(1, 10, metric="loss", within=2)], None, {}, "It logs val/loss"),
}


@pytest.mark.parametrize("case", HOPELESS)
def test_hopeless_runs_are_refused_and_change_nothing(case: str, tmp_path: Path) -> None:
    policies, sharing, options, text = HOPELESS[case]
    module = make_tasks("two", sharing=sharing)
    before = partition(module)
    with pytest.raises(ConfigError, match=text):
        fit(tmp_path, module, AdaptiveSharing(policies), **({"max_steps": 40} | options))
    assert partition(module) == before
    assert not list(tmp_path.rglob("adaptive-sharing*"))


def test_a_run_config_names_policies(tmp_path: Path) -> None:
    parser = ArgumentParser()
    parser.add_argument("--callback", type=Callback)
    policies = [
        {"class_path": "lightning_tying.callbacks.SplitOnConflict", "init_args": {"samples": 3, "groups": "block*"}},
        {"class_path": "lightning_tying.callbacks.ShareThenUnshare", "init_args": {"at": 0.5}},
        {"class_path": "lightning_tying.callbacks.JoinOnRedundancy", "init_args": {"epsilon": 0.01}},
        {"class_path": "lightning_tying.callbacks.Budget", "init_args": {"parameters": 12000000}},
    ]
    content = {"class_path": "lightning_tying.callbacks.AdaptiveSharing", "init_args": {"policies": policies}}
    made = parser.instantiate(parser.parse_object({"callback": content})).callback
    labels = ["SplitOnConflict", "ShareThenUnshare(at=0.5)", "JoinOnRedundancy", "Budget(12000000)"]
    assert [each.label for each in made.policies] == labels
    assert made.policies[0].groups == ["block*"]
