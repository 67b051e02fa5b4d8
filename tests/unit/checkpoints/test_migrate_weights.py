"""Values follow when a module is tied otherwise: split, join, solve, keep."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from lightning_tying import tie
from lightning_tying.checkpoints.migrate_weights import find_changes, migrate_values, read_sites, write_sites
from lightning_tying.checkpoints.moments import join_states, migrate_moments
from lightning_tying.checkpoints.origins import Origin

TIED = {"share": [{"sites": "{l}.weight", "equals": "W"}]}
PAIRS = {"share": [{"sites": "{l}.weight", "equals": "W[l // 2]"}]}
DELTA = {"share": [{"sites": "{l}.weight", "equals": "W + low_rank(2)", "init": {"W": "mean", "low_rank": "svd"}}]}


def make() -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(6, 6) for _ in range(4)))


def move(
    spec_a: dict | None, spec_b: dict | None, join: str = "mean"
) -> tuple[nn.Module, nn.Module, dict[str, Origin]]:
    plain = make()
    source = deepcopy(plain)
    if spec_a is not None:
        tie(source, spec_a)
        with torch.no_grad():
            for parameter in source.parameters():
                parameter.normal_()
    target = deepcopy(plain)
    write_sites(target, read_sites(source))
    if spec_b is not None:
        tie(target, spec_b)
    return source, target, migrate_values(source, target, join)  # pyright: ignore


def test_a_split_copies_and_changes_no_site() -> None:
    source, target, origins = move(TIED, None)
    assert [origins[f"{n}.weight"].kind for n in range(4)] == ["copied"] * 4
    assert origins["2.weight"].sources == ("0.weight",)
    assert find_changes(read_sites(source), target) == []
    assert target[0].weight is not target[1].weight


@pytest.mark.parametrize("join", ["mean", "first"])
def test_a_join_takes_the_mean_or_the_first(join: str) -> None:
    source, target, origins = move(None, TIED, join)
    weights = [source[n].weight for n in range(4)]
    wanted = torch.stack(weights).mean(0) if join == "mean" else weights[0]
    torch.testing.assert_close(target[3].weight, wanted)
    assert origins["0.weight"].kind == "joined" and len(origins["0.weight"].sources) == 4
    assert {change.site for change in find_changes(read_sites(source), target)} >= {"1.weight", "3.weight"}


def test_a_join_counts_each_site_once() -> None:
    uneven = {"share": [{"tie": ["0.weight", "1.weight", "2.weight"], "name": "W"}]}
    source, target, _ = move(uneven, TIED)
    torch.testing.assert_close(target[0].weight, (3 * source[0].weight + source[3].weight) / 4)


def test_untied_tied_untied_gives_the_tied_values_everywhere() -> None:
    _, tied, _ = move(None, TIED)
    again = make()
    write_sites(again, read_sites(tied))
    migrate_values(tied, again)
    assert find_changes(read_sites(tied), again) == []


def test_regrouping_joins_only_what_belongs_together() -> None:
    source, target, _ = move(None, PAIRS)
    torch.testing.assert_close(target[1].weight, (source[0].weight + source[1].weight) / 2)
    torch.testing.assert_close(target[2].weight, (source[2].weight + source[3].weight) / 2)


def test_computed_sites_are_solved_and_then_kept() -> None:
    source, target, origins = move(None, DELTA)
    kinds = {name: origin.kind for name, origin in origins.items()}
    assert kinds["0.parametrizations.weight.0.W"] == "solved" and kinds["0.bias"] == "kept"
    mean = torch.stack([source[n].weight for n in range(4)]).mean(0)
    residual = source[2].weight - mean
    u, s, v = torch.linalg.svd(residual)
    torch.testing.assert_close(target[2].weight, mean + (u[:, :2] * s[:2]) @ v[:2], atol=1e-5, rtol=1e-4)

    _, _, again = move(DELTA, DELTA)
    assert {origin.kind for origin in again.values()} == {"kept"}


def test_untying_computed_sites_keeps_values_and_drops_moments() -> None:
    source, target, origins = move(DELTA, None)
    assert find_changes(read_sites(source), target) == []
    assert origins["1.weight"] == Origin("1.weight", "copied", ("1.weight",), ())


def test_gradient_rules_do_not_cost_the_moments() -> None:
    scaled = {"share": [{"sites": "{l}.weight", "equals": "W", "grad": {"scale": 0.5}}]}
    _, _, origins = move(scaled, None)
    assert {origins[f"{n}.weight"].kind for n in range(4)} == {"copied"}
    assert all(origins[f"{n}.weight"].sources for n in range(4))


def test_moments_are_copied_by_a_split_and_averaged_by_a_join() -> None:
    states = {
        "a": {"step": torch.tensor(4.0), "exp_avg": torch.tensor([1.0]), "max_exp_avg_sq": torch.tensor([3.0])},
        "b": {"step": torch.tensor(2.0), "exp_avg": torch.tensor([3.0]), "max_exp_avg_sq": torch.tensor([1.0])},
    }
    origins = {
        "x": Origin("x", "copied", ("x",), ("a",)),
        "y": Origin("y", "copied", ("y",), ("a",)),
        "z": Origin("z", "joined", ("z", "w", "v"), ("a", "b", "b")),
        "new": Origin("new", "solved", ("new",), ()),
    }
    moved = migrate_moments(states, origins)
    assert moved["x"]["exp_avg"] is not moved["y"]["exp_avg"] is not states["a"]["exp_avg"]
    assert float(moved["z"]["exp_avg"]) == pytest.approx(7 / 3)
    assert float(moved["z"]["step"]) == 4 and float(moved["z"]["max_exp_avg_sq"]) == 3
    assert "new" not in moved


def test_momentum_of_sgd_is_averaged() -> None:
    joined = join_states([{"momentum_buffer": torch.tensor([2.0])}, {"momentum_buffer": torch.tensor([4.0])}])
    assert float(joined["momentum_buffer"]) == 3
