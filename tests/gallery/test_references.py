"""Values and gradients of every scheme against a plain reference, in float64, on odd shapes, for several seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from lightning_tying import Plan, tie
from tests.gallery.case import Case, Shared
from tests.gallery.schemes import SCHEMES, make_module, read_site, write_files

SEEDS = (0, 1, 2)


def draw_shared(module: nn.Module, plan: Plan, seed: int) -> dict[str, nn.Parameter]:
    """Every shared parameter with new random values, by its full name."""
    generator = torch.Generator().manual_seed(1000 + seed)
    shared = {str(group.name): module.get_parameter(group.keeper) for group in plan.graph.groups}
    with torch.no_grad():
        for parameter in shared.values():
            parameter.normal_(generator=generator)
    return shared


def linear_loss(values: dict[str, Tensor], seed: int) -> Tensor:
    """A random linear function of all cells, so that every cell's gradient differs."""
    generator = torch.Generator().manual_seed(2000 + seed)
    terms = [
        (torch.randn(values[site].shape, generator=generator, dtype=torch.float64) * values[site]).sum()
        for site in sorted(values)
    ]
    return torch.stack(terms).sum()


def tie_case(name: str, seed: int, folder: Path) -> tuple[Case, nn.Module, dict[str, nn.Parameter]]:
    case = SCHEMES[name].make_case(seed)
    module = make_module(case, seed).eval()
    plan = tie(module, write_files(SCHEMES[name], case, folder))
    return case, module, draw_shared(module, plan, seed)


def is_frozen(case: Case, name: str) -> bool:
    return any(name == family or name.startswith(f"{family}[") for family in case.frozen)


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCHEMES)
def test_values_and_gradients(name: str, seed: int, tmp_path: Path) -> None:
    case, module, shared = tie_case(name, seed, tmp_path)
    leaves = {key: parameter.detach().clone().requires_grad_() for key, parameter in shared.items()}
    reading = Shared(leaves)

    expected = case.values(reading)
    actual = {site: read_site(module, site) for site in expected}

    assert reading.read == set(leaves), "the graph has other shared parameters than the paper"
    for site, value in expected.items():
        torch.testing.assert_close(actual[site], value, rtol=0, atol=1e-10, msg=lambda text, at=site: f"{at}: {text}")
    linear_loss(expected, seed).backward()
    linear_loss(actual, seed).backward()
    for key, parameter in shared.items():
        assert parameter.requires_grad is not is_frozen(case, key), key
        if is_frozen(case, key):
            assert parameter.grad is None
        else:
            torch.testing.assert_close(
                parameter.grad, leaves[key].grad, rtol=0, atol=1e-8, msg=lambda text, at=key: f"{at}: {text}"
            )


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
@pytest.mark.parametrize("name", SCHEMES)
def test_nothing_else_is_shared(name: str, tmp_path: Path) -> None:
    case, module, shared = tie_case(name, 1, tmp_path)

    bound = case.values(Shared(shared))
    private = {site: module.get_parameter(site) for site in case.shapes if site not in bound}

    assert len({id(parameter) for parameter in module.parameters()}) == len(shared) + len(private)
    assert all(list(parameter.shape) == list(case.shapes[site]) for site, parameter in private.items())
