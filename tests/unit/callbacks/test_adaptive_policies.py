"""The policies of AdaptiveSharing as pure functions: what they want for what they see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import pytest

from lightning_tying.algebra.expression import ParameterName
from lightning_tying.callbacks.adaptive.budget import fit_parts
from lightning_tying.callbacks.adaptive.clusters import find_clusters, measure_pairs
from lightning_tying.callbacks.adaptive.join_on_redundancy import find_nearest, keeps, list_pairs
from lightning_tying.callbacks.adaptive.share_then_unshare import find_moment, unshare
from lightning_tying.callbacks.adaptive.split_on_conflict import judge_conflict
from lightning_tying.callbacks.adaptive.view import Cosines, GroupView, choose
from lightning_tying.errors import ConfigError
from lightning_tying.reports.adaptive.decision import Decision, read_decision, write_decisions
from lightning_tying.reports.adaptive.timeline import render_timeline


def group(name: str, *sites: str, shape: tuple[int, ...] = (2, 2), trained: bool = True) -> GroupView:
    read = sites or (name,)
    return GroupView(name, read, {site: site for site in read}, ParameterName(name), shape, trained=trained)


def table(of: Sequence[int], within: float, between: float) -> Cosines:
    """Cosines of uses that belong to clusters with these numbers."""
    return tuple(
        tuple(1.0 if i == j else within if a == b else between for j, b in enumerate(of)) for i, a in enumerate(of)
    )


@pytest.mark.parametrize("of", sorted(set(permutations([0, 0, 0, 1, 1]))))
def test_clusters_are_found_whatever_the_order(of: tuple[int, ...]) -> None:
    pairs = measure_pairs([table(of, 0.4, -0.4)] * 3)
    wanted = sorted([place for place, one in enumerate(of) if one == number] for number in (0, 1))
    assert find_clusters(pairs, 0.1) == wanted


def test_what_has_nothing_in_common_stays_together() -> None:
    assert find_clusters(measure_pairs([table([0, 1, 2], 1.0, -0.05)] * 4), 0.1) == [[0, 1, 2]]


def test_a_conflict_that_chance_may_bring_is_none() -> None:
    noisy = [table([0, 1], 1.0, cosine) for cosine in (-0.9, 0.7, -0.8, 0.3, -0.7, 0.2)]
    steady = [table([0, 1], 1.0, cosine) for cosine in (-0.3, -0.2, -0.25, -0.2, -0.3, -0.25)]
    assert find_clusters(measure_pairs(noisy), 0.1) == [[0, 1]]
    assert find_clusters(measure_pairs(steady), 0.1) == [[0], [1]]


def test_a_use_without_gradients_goes_with_the_others() -> None:
    nan = math.nan
    silent = ((1.0, -0.9, nan), (-0.9, 1.0, nan), (nan, nan, nan))
    clusters = find_clusters(measure_pairs([silent] * 3), 0.1)
    assert len(clusters) == 2 and sum(map(len, clusters)) == 3


def test_the_nearest_clusters_stay_together_where_there_may_be_two_parts() -> None:
    cosines = ((1.0, -0.2, -0.8), (-0.2, 1.0, -0.8), (-0.8, -0.8, 1.0))
    trunk = group("trunk", "a", "b", "c")
    wide = judge_conflict(trunk, [cosines] * 3, 0.1)
    narrow = judge_conflict(trunk, [cosines] * 3, 0.1, max_parts=2)
    assert wide is not None and wide.partition == (("a",), ("b",), ("c",))
    assert narrow is not None and narrow.partition == (("a", "b"), ("c",))
    assert narrow.evidence["between"] == pytest.approx(-0.8)


def test_unsharing_leaves_what_is_alone() -> None:
    (proposal,) = unshare([group("W", "a", "b"), group("v")], 3, 10)
    assert proposal.partition == (("a",), ("b",))


def test_a_moment_is_a_step_or_a_part() -> None:
    assert (find_moment(7, math.inf), find_moment(0.25, 10), find_moment(0.01, 10)) == (7, 3, 1)
    with pytest.raises(ConfigError, match="max_steps or max_epochs"):
        find_moment(0.5, math.inf)


def test_only_parameters_of_one_role_are_compared() -> None:
    layers = [group(f"layers.{number}.q.weight") for number in range(3)]
    others = [
        group("layers.0.k.weight"),
        group("layers.3.q.weight", shape=(4, 4)),
        group("layers.4.q.weight", trained=False),
    ]
    blocks = [group("block[q, 0]"), group("block[q, 1]"), group("block[k, 0]")]
    found = {(one.name, other.name) for one, other in list_pairs([*layers, *others, *blocks])}
    names = [each.name for each in layers]
    wanted = {(names[0], names[1]), (names[0], names[2]), (names[1], names[2]), ("block[q, 0]", "block[q, 1]")}
    assert found == wanted


def decide(action: str, before: Sequence[GroupView], after: Sequence[GroupView]) -> Decision:
    groups = [tuple((each.name, each.sites) for each in side) for side in (before, after)]
    return Decision(5, 0, "P", action, groups[0], groups[1], 10, "why <b>", {"rise": math.inf})  # type: ignore[arg-type]


def test_the_nearest_that_was_not_tried_comes_first() -> None:
    one, two, three = (group(f"l.{number}") for number in range(3))
    apart = {frozenset(("l.0", "l.1")): 0.1, frozenset(("l.1", "l.2")): 0.2, frozenset(("l.0", "l.2")): 0.9}

    def find(history: Sequence[Decision]) -> list[tuple[str, str]]:
        distance = lambda a, b: apart[frozenset((a.name, b.name))]  # noqa: E731  # of this test alone
        return [(a.name, b.name) for _, a, b in find_nearest([one, two, three], distance, 0.5, history, 2)]

    assert find([]) == [("l.0", "l.1"), ("l.1", "l.2")]
    assert find([decide("undo", (one, two), (one, two))]) == [("l.1", "l.2")]
    whole = group("W", "l.0", "l.1", "l.2")
    assert find([decide("split", (whole,), (one, group("W", "l.1", "l.2")))]) == [("l.1", "l.2")]


@pytest.mark.parametrize(
    ("before", "after", "kept"), [(1.0, 1.05, True), (1.0, 1.1, False), (1.0, 0.5, True), (1.0, math.nan, False)]
)
def test_a_join_is_kept_below_epsilon(before: float, after: float, kept: bool) -> None:
    assert keeps(before, after, 0.1) is kept


def test_parts_fit_the_room() -> None:
    assert [fit_parts(10, 5, room) for room in (-3, 9, 10, 25, 99)] == [1, 1, 2, 3, 5]


def test_patterns_choose_by_name_and_site() -> None:
    groups = [group("W", "a.x", "b.x"), group("V", "a.y", "b.y")]
    assert [each.name for each in choose(groups, ["*.y"], "P")] == ["V"]
    with pytest.raises(ConfigError, match=r"P: no sharing group matches `Q`.*W, V"):
        choose(groups, ["Q"], "P")


def test_decisions_go_to_lines_and_back() -> None:
    made = decide("split", [group("W", "a", "b")], [group("a"), group("b")])
    assert read_decision(made.to_dict()).to_dict() == made.to_dict()
    assert write_decisions([made, made]).count("\n") == 2
    for damaged in ({**made.to_dict(), "action": "guess"}, {"step": 1}, None):
        with pytest.raises(ValueError, match=r"no action|not a decision"):
            read_decision(damaged)


def test_the_timeline_has_every_decision_escaped() -> None:
    made = [
        decide("split", [group("W", "a", "b")], [group("a"), group("b")]),
        decide("undo", [group("a")], [group("a")]),
    ]
    page = render_timeline(made, 6, 40, "share: <x>")
    assert "6 parameters at the start, 10 after 40 steps; 1 × split, 1 × undo." in page
    assert "why &lt;b&gt;" in page and "share: &lt;x&gt;" in page and "<b>" not in page
    assert "No policy wanted" in render_timeline([], 6, 40)
