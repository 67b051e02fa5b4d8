"""The loop over passes: checks are heard together, and a pass that breaks is named."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_tying.errors import Location, Problem, SpecError
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.passes.pipeline import PASSES, plan_graph, run_passes
from lightning_tying.spec.loader import load_spec
from tests import trees


def refuse_first(graph: SharingGraph) -> SharingGraph:
    raise SpecError([Problem("first", Location(line=2), "two")])


def refuse_second(graph: SharingGraph) -> SharingGraph:
    raise SpecError([Problem("second", Location(line=1), "one")])


def break_down(graph: SharingGraph) -> SharingGraph:
    raise ZeroDivisionError


def test_all_checks_are_heard_and_named() -> None:
    with pytest.raises(SpecError) as caught:
        run_passes(SharingGraph(()), (refuse_first, refuse_second), problems=[Problem("built", Location(line=3), "x")])

    assert [problem.code for problem in caught.value.problems] == ["second", "first", "built"]
    assert caught.value.__notes__ == ["refused by refuse_first", "refused by refuse_second"]


def test_a_pass_that_breaks_is_named() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_passes(SharingGraph(()), (break_down,))

    assert caught.value.__notes__ == ["while break_down looked at a graph of 0 sharing groups"]


def test_checks_never_change_and_passes_are_idempotent() -> None:
    text = "share:\n  - '{s:encoder|decoder}.layers.{l}.{m}_attn.{name*} = W[name, l]'\n"
    graph = plan_graph(load_spec(text), take_inventory(trees.tree(trees.encoder_decoder(9, 4, 8, 2, 2))))

    for step in PASSES:
        if step.__name__.startswith("check_"):
            assert step(graph) is graph
    assert run_passes(graph) == graph


def warn(text: str, module: nn.Module) -> list[str]:
    return [warning.text for warning in plan_graph(load_spec(text), take_inventory(module)).warnings]


def test_unlike_attention_is_a_warning() -> None:
    text = "share:\n  - decoder.layers.{l}.{m:self_attn|cross_attn}.q.weight = W\n"

    assert warn(text, trees.tree(trees.encoder_decoder(9, 4, 8, 2, 2))) == [
        "`W` is read by self-attention (decoder.layers.0.self_attn.q.weight) "
        "and cross-attention (decoder.layers.0.cross_attn.q.weight)."
    ]


def test_a_norm_with_another_layer_is_a_warning() -> None:
    text = "share:\n  - tie: [norm.weight, fc.bias]\n"

    assert warn(text, trees.tree({"norm.weight": [4], "fc.bias": [4]})) == [
        "`norm.weight` is read by a norm (norm.weight) and another layer (fc.bias)."
    ]


def test_a_weight_with_a_bias_is_a_warning() -> None:
    module = nn.ModuleDict({"a": nn.LayerNorm(4)})

    assert warn("share:\n  - tie: [a.weight, a.bias]\n", module) == [
        "`a.weight` is read by a weight (a.weight) and a bias (a.bias)."
    ]


def test_like_roles_are_no_warning() -> None:
    layers, tie = "'{s:encoder|decoder}.layers.{l}.{name*} = W[name, l]'", "tie: [encoder.embed.weight, head.weight]"
    text = f"share:\n  - {layers}\n  - {tie}\n"

    assert warn(text, trees.tree(trees.encoder_decoder(9, 4, 8, 2, 2))) == []


def test_a_delta_on_unlike_roles_is_a_warning() -> None:
    text = "share:\n  - decoder.layers.{l}.{m:self_attn|cross_attn}.q.weight = W + low_rank(1)\n"

    assert warn(text, trees.tree(trees.encoder_decoder(9, 4, 8, 2, 2))) == [
        "`W` is read by self-attention (decoder.layers.0.self_attn.q.weight) "
        "and cross-attention (decoder.layers.0.cross_attn.q.weight)."
    ]


def test_a_pool_of_numbers_has_no_role() -> None:
    text = "share:\n  - {sites: '**', equals: hashed(pool)}\nparameters: {pool: {shape: [9]}}\n"

    assert warn(text, trees.tree(trees.encoder_decoder(9, 4, 8, 1, 1))) == []


@pytest.mark.parametrize("bound", ["softmax=True", "top=2"])
def test_an_svd_is_refused_where_the_coefficients_are_not_free(bound: str) -> None:
    module = nn.Sequential(*(nn.Linear(4, 4) for _ in range(3)))
    spec = {"share": [{"sites": "{l}.weight", "equals": f"mix(T, 3, {bound})", "init": {"T": "svd_joint"}}]}

    with pytest.raises(SpecError, match=f"bound by `{bound.partition('=')[0]}`"):
        plan_graph(load_spec(spec), take_inventory(module))
