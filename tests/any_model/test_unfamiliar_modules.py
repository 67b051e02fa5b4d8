"""One language for networks that are not ours: each computes what a plain copy with its values computes."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lightning_tying import discover, make_plan, tie, verify
from tests.any_model import unfamiliar

CASES: dict[str, tuple[Callable[[], nn.Module], Callable[[], Sequence[Tensor]], dict[str, Any]]] = {
    "residual network": (
        unfamiliar.ResNet,
        lambda: (torch.randn(4, 3, 6, 6),),
        {
            "share": [
                "layer{s:int}.{b:int}.conv2.weight = mix(T[s], 2)",
                {"sites": "layer1.{b}.conv1.weight", "equals": "W + low_rank(2)", "where": "b > 0"},
                "layer{s}.{b}.{n:bn1|bn2}.{q:weight|bias} = N[s, q]",
                "fc.weight = hashed(pool)",
            ],
            "parameters": {"pool": {"shape": [13]}},
        },
    ),
    "a preset on stages": (
        unfamiliar.ResNet,
        lambda: (torch.randn(4, 3, 6, 6),),
        {
            "share": [
                {
                    "preset": {"name": "relaxed", "over": "layer1.{l}.{name*}", "M": 1, "rank": 3},
                    "except": "layer1.0.**",
                }
            ]
        },
    ),
    "relative attention": (
        unfamiliar.RelativeModel,
        lambda: (torch.randint(0, 11, (2, 5)),),
        {
            "share": [
                "block.{l}.attn.{n:q|k}.weight = W[n] + low_rank(2)",
                "block.{l}.{n:wi|wo}.weight = F[n]",
                "block.0.attn.relative_attention_bias.weight = rows(R, i0 // 2)",
                "shared.weight = U @ V",
            ],
            "parameters": {"U": {"shape": ["_", 3]}},
        },
    ),
    "denoising block": (
        unfamiliar.DenoisingBlock,
        lambda: (torch.randn(2, 8, 3, 3), torch.randn(2, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 6)),
        {
            "share": [
                "c{i:int}.weight = C + low_rank(2)",
                "depthwise.weight = basis(D, 4)",
                "up.weight = permute(U, 1, 0, 2, 3)",
                "attn.{n}_proj_weight = t(P[n])",
                "attn.out_proj.weight = normalize(O)",
                "time.2.weight = concat(A, B)",
                "{n:gn1|gn2}.weight = scale(g)",
            ]
        },
    ),
    "experts": (
        unfamiliar.Experts,
        lambda: (torch.randn(3, 6),),
        {
            "share": [
                "layers.{l}.experts.{e}.{n}.weight = W[n] + low_rank(2)[l, e, n]",
                "layers.{l}.experts.{e}.{n}.bias = b[n, e % 2]",
            ]
        },
    ),
    "lists of parameters": (
        unfamiliar.Parameters,
        lambda: (torch.randn(2, 4),),
        {"share": ["steps.{i} = W + low_rank(1)", "named.a = t(W)", "raw = W"]},
    ),
    "aliases in lists": (
        unfamiliar.Parameters,
        lambda: (torch.randn(2, 4),),
        {"share": ["steps.{i} = W", {"tie": ["named.a", "raw"]}]},
    ),
    "oddments": (
        unfamiliar.Oddments,
        lambda: (torch.randint(0, 9, (2, 3)),),
        {
            "share": [
                "pair.weight = P + low_rank(2)",
                "bags.{i}.weight = U @ V",
                "projected.weight_hh_l{l:int} = H + low_rank(2)",
                "projected.weight_hh_l{l}_reverse = t(R)",
                "projected.weight_hr_l{l} = normalize(Q)",
                "projected.bias_{s:ih|hh}_l{l} = b[s]",
                "cell.weight_{s:ih|hh} = 2 * G",
                "slope.weight = exp(a)",
                "norm.weight = reshape(n, [d0, d1])",
            ],
            "parameters": {"U": {"shape": [9, 2]}, "n": {"shape": [16]}},
        },
    ),
}


def read(module: nn.Module, site: str) -> Tensor:
    path, _, name = site.rpartition(".")
    return getattr(module.get_submodule(path), name)


def as_plain(tied: nn.Module, fresh: nn.Module) -> nn.Module:
    """A model that was never tied, with the value of every site written in."""
    with torch.no_grad():
        for site, parameter in fresh.named_parameters():
            parameter.copy_(read(tied, site))
        for name, buffer in fresh.named_buffers():
            buffer.copy_(tied.get_buffer(name))
    return fresh


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest):
    torch.manual_seed(0)
    make, draw, spec = CASES[request.param]
    return (lambda: make().double()), [x.double() if x.is_floating_point() else x for x in draw()], spec


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_a_plain_copy_computes(case: Any, training: bool) -> None:
    make, inputs, spec = case
    tied = make()
    tie(tied, spec)
    plain = as_plain(tied, make()).train(training)

    out = tied.train(training)(*inputs)

    torch.testing.assert_close(out, plain(*inputs), rtol=0, atol=1e-10)
    out.square().sum().backward()
    assert [name for name, parameter in tied.named_parameters() if parameter.grad is None] == []


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
def test_copies_and_state_dicts_keep_it(case: Any) -> None:
    make, inputs, spec = case
    tied, other = make().eval(), make().eval()
    tie(tied, spec)
    tie(other, spec)
    out = tied(*inputs)

    other.load_state_dict(tied.state_dict())

    for again in (copy.deepcopy(tied), pickle.loads(pickle.dumps(tied)), other):
        verify(again)
        torch.testing.assert_close(again(*inputs), out, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")
def test_its_sharing_is_found_again_and_planned_on_meta(case: Any) -> None:
    make, _, spec = case
    tied = make()
    plan = tie(tied, spec)

    found = make_plan(make().to("meta"), discover(tied).to_spec()).graph

    shared = {frozenset(use.site for use in group.uses) for group in plan.graph.groups if len(group.uses) > 1}
    assert {frozenset(use.site for use in group.uses) for group in found.groups if len(group.uses) > 1} == shared
    assert [each.site for each in found.derived] == [each.site for each in plan.graph.derived]
