"""Drawn initial values depend on the seed and the name, on nothing else."""

from __future__ import annotations

import pytest
import torch

from lightning_tying.graph.ir import ParameterName, ParameterPolicy, SharingGroup, TensorMeta, Use
from lightning_tying.lowering.initial.draw import draw
from lightning_tying.spec.schema import Init


def group(init, shape=(200, 100), name="W"):
    return SharingGroup(ParameterName(name), (Use("a.weight"),), TensorMeta(shape), ParameterPolicy(init))


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (Init("zeros"), 0.0),
        (Init("ones"), 0.0),
        (Init("constant", (0.5,)), 0.0),
        (Init("normal", (0.02,)), 0.02),
        (Init("uniform", (0.3,)), 0.3 / 3**0.5),
        (Init("trunc_normal", (0.02,)), 0.0176),
        (Init("kaiming_uniform"), (1 / 300) ** 0.5),
        (Init("kaiming_normal"), (2 / 100) ** 0.5),
        (Init("xavier_uniform"), (2 / 300) ** 0.5),
        (Init("xavier_normal"), (2 / 300) ** 0.5),
        (Init("orthogonal"), 200**-0.5),
    ],
)
def test_spread(init, std):
    values = draw(group(init))
    assert float(values.std()) == pytest.approx(std, rel=0.03, abs=1e-7)
    assert values.shape == (200, 100) and values.dtype == torch.float32


def test_normal_alone_takes_the_first_sites_deviation():
    assert float(draw(group(Init("normal")), torch.randn(400, 50) * 3).std()) == pytest.approx(3, rel=0.03)


def test_seed_and_name_decide():
    init = Init("normal", (1.0,))
    torch.manual_seed(3)
    first = draw(group(init))
    torch.rand(10)
    assert torch.equal(draw(group(init)), first)
    assert not torch.equal(draw(group(init, name="V")), first)
    torch.manual_seed(4)
    assert not torch.equal(draw(group(init)), first)


def test_the_users_random_numbers_stay():
    before = torch.random.get_rng_state()
    draw(group(Init("orthogonal")))
    assert torch.equal(torch.random.get_rng_state(), before)
