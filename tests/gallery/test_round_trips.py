"""For every scheme: spec, graph and weights survive being written and read, and a split changes no value."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lightning_tying import Plan, discover, make_plan, tie, untie, verify
from lightning_tying.spec import load_spec
from tests.gallery.case import Case
from tests.gallery.schemes import SCHEMES, make_module, read_site, write_files

pytestmark = [
    pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning"),
    pytest.mark.parametrize("name", SCHEMES),
]


def tie_case(name: str, folder: Path, seed: int) -> tuple[Case, nn.Module, Plan]:
    case = SCHEMES[name].make_case(1)
    module = make_module(case, seed).eval()
    return case, module, tie(module, write_files(SCHEMES[name], case, folder))


def read_sites(case: Case, module: nn.Module) -> dict[str, torch.Tensor]:
    return {site: read_site(module, site).detach().clone() for site in case.shapes}


def test_a_dumped_spec_gives_the_same_graph(name: str, tmp_path: Path) -> None:
    case = SCHEMES[name].make_case(1)
    module, spec = make_module(case), write_files(SCHEMES[name], case, tmp_path)

    again = load_spec(spec.dump(), file=tmp_path / "spec.yaml")

    assert again == spec
    assert make_plan(module, again).graph == make_plan(module, spec).graph


def test_discover_finds_the_graph_again(name: str, tmp_path: Path) -> None:
    _, module, plan = tie_case(name, tmp_path, 3)

    found = discover(module)

    assert found.partition() == plan.graph.partition()
    assert [derived.site for derived in found.derived] == [derived.site for derived in plan.graph.derived]
    assert [derived.expression for derived in found.derived] == [derived.expression for derived in plan.graph.derived]
    verify(module)


def test_weights_go_to_a_fresh_module(name: str, tmp_path: Path) -> None:
    case, module, _ = tie_case(name, tmp_path, 3)
    _, fresh, _ = tie_case(name, tmp_path, 4)

    fresh.load_state_dict(module.state_dict())

    before, after = read_sites(case, module), read_sites(case, fresh)
    for site in case.shapes:
        assert torch.equal(before[site], after[site]), site
    verify(fresh)


def test_a_split_changes_no_value(name: str, tmp_path: Path) -> None:
    """Each of the first, middle and last bound site gets a parameter of its own, one after the other."""
    case, module, plan = tie_case(name, tmp_path, 3)
    bound = list(dict.fromkeys(use.site for _, use in plan.graph.uses()))
    before = read_sites(case, module)

    for site in dict.fromkeys((bound[-1], bound[len(bound) // 2], bound[0])):
        untie(module, [site])

        assert isinstance(read_site(module, site), nn.Parameter)
        after = read_sites(case, module)
        for other in case.shapes:
            torch.testing.assert_close(after[other], before[other], rtol=0, atol=1e-12)
