"""Groups, uses and derived sites of specs with functions: owners, slots, gradients, initial values, penalties."""

from __future__ import annotations

import torch
from torch import nn

from lightning_tying.algebra.expression import Read
from lightning_tying.graph.build import build_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.graph.parts import GradientRule, SharingGroup
from lightning_tying.spec.loader import load_spec
from tests import trees


def build(text: str, module: nn.Module | None = None) -> SharingGraph:
    return build_graph(load_spec(text), take_inventory(module or trees.table_model()))


def groups_of(graph: SharingGraph) -> dict[str, SharingGroup]:
    return {str(group.name): group for group in graph.groups}


def test_the_owner_reads_the_parameter_as_it_is() -> None:
    graph = build("share:\n  - embed.weight = 8.0 * E\n  - head.weight = E\n")

    (group,) = graph.groups
    assert group.owner == group.keeper == "head.weight"
    assert [(use.site, use.slot, use.bare) for use in group.uses] == [
        ("head.weight", "", True),
        ("embed.weight", "E", False),
    ]
    assert group.places == ("head.weight", "embed.parametrizations.weight.0.E")
    assert [derived.site for derived in graph.derived] == ["embed.weight"]
    assert group.policy.init_sites == ("head.weight",)


def test_without_a_bare_use_the_first_reader_is_the_owner() -> None:
    graph = build("share:\n  - layers.{l}.attn.{m}.weight = scale(W[m], dim=0)\n")

    group = groups_of(graph)["W[k]"]
    assert group.owner == "layers.0.attn.k.weight"
    assert group.keeper == "layers.0.attn.k.parametrizations.weight.0.W"


def test_groups_stand_in_model_order_of_their_owners_then_as_written() -> None:
    graph = build("share:\n  - layers.{l}.attn.q.weight = low_rank(2) + W\n  - embed.weight = 2 * E\n")

    assert [str(group.name) for group in graph.groups][:4] == [
        "E",
        "low_rank.A[layers.0.attn.q.weight]",
        "low_rank.B[layers.0.attn.q.weight]",
        "W",
    ]


def test_a_value_that_reads_a_parameter_twice_is_one_use() -> None:
    graph = build("share:\n  - layers.{l}.attn.q.weight = W + t(W)\n")

    assert [use.slot for use in groups_of(graph)["W"].uses] == ["W"] * 6


def test_gradients_are_those_of_each_site() -> None:
    graph = build(
        """
        share:
          - {sites: "layers.{l}.norm.weight", equals: N, grad: {scale: "0.5 ** (count(l) - 1 - l)"}}
          - {sites: "layers.{l}.attn.q.weight", equals: "W + low_rank(2)", grad: mean}
          - bn.weight = N
        """
    )

    groups = groups_of(graph)
    assert [use.grad.scale for use in groups["N"].uses] == [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0, 1.0]
    assert groups["N"].keeper == "layers.0.norm.parametrizations.weight.0.N"
    assert groups["N"].uses[-1].grad == GradientRule() and groups["N"].uses[-1].slot == ""
    assert {use.grad.kind for use in groups["W"].uses} == {"mean"}
    assert {use.grad for use in groups["low_rank.A[layers.0.attn.q.weight]"].uses} == {GradientRule()}


def test_a_bare_site_with_a_rule_of_its_own_is_derived() -> None:
    graph = build("share:\n  - {sites: embed.weight, equals: E, grad: stop, keep: true}\n  - head.weight = E\n")

    (derived,) = graph.derived
    assert derived.expression == Read((100, 64), graph.groups[0].name)
    assert (derived.site, derived.keep) == ("embed.weight", True)
    assert [(use.slot, use.bare) for use in graph.groups[0].uses] == [("E", True), ("", True)]


def test_a_tie_with_a_rule_of_its_own_has_slots_called_by_the_owner() -> None:
    graph = build("share:\n  - {tie: [embed.weight, head.weight], grad: mean}\n")

    assert [use.slot for use in graph.groups[0].uses] == ["embed_weight"] * 2


def test_another_dtype_makes_the_sites_derived() -> None:
    module = trees.tree(trees.embedding_and_head(9, 4), dtypes={"head.weight": torch.bfloat16})

    graph = build(
        "share:\n  - tie: [embed.weight, head.weight]\n    name: E\nparameters: {E: {dtype: bfloat16}}\n", module
    )

    assert [derived.site for derived in graph.derived] == ["embed.weight"]
    assert graph.groups[0].meta.dtype == "bfloat16"
    assert graph.derived[0].meta.dtype == "float32"


def test_the_open_rows_are_as_many_as_any_use_needs() -> None:
    graph = build("share:\n  - embed.weight = rows(T, i0 // 4)\n  - head.weight = rows(T, i0 % 40)\n")

    assert groups_of(graph)["T"].meta.shape == (40, 64)


def test_slices_of_one_parameter_reach_as_far_as_any_needs() -> None:
    graph = build("share:\n  - layers.0.norm.weight = slice(P, 64, 128)\n  - layers.1.norm.weight = slice(P, 10, 74)\n")

    assert groups_of(graph)["P"].meta.shape == (128,)


def test_open_parts_of_a_concat_take_equal_shares_of_the_rest() -> None:
    graph = build("share:\n  - embed.weight = concat(A, B, C)\nparameters: {B: {shape: [40, _]}}\n")

    assert {name: group.meta.shape for name, group in groups_of(graph).items()} == {
        "A": (30, 64),
        "B": (40, 64),
        "C": (30, 64),
    }


def test_shapes_go_from_one_equation_to_another() -> None:
    """P is known by its bare use, so A @ P says how wide A is, and the concat what is left for B."""
    graph = build(
        """
        share:
          - head.weight = concat(t(A), B, dim=0) @ Q
          - embed.weight = t(A) @ P
          - layers.0.attn.q.weight = P
          - layers.1.attn.q.weight = Q
        """,
        trees.tree(
            {
                "head.weight": [150, 32],
                "embed.weight": [100, 64],
                "layers.0.attn.q.weight": [16, 64],
                "layers.1.attn.q.weight": [16, 32],
            }
        ),
    )

    groups = groups_of(graph)
    assert groups["A"].meta.shape == (16, 100)
    assert groups["B"].meta.shape == (50, 16)


def test_least_sizes_of_parts_without_parameters_of_that_shape() -> None:
    graph = build("share:\n  - layers.0.norm.weight = slice(hashed(p), 6, 70)\nparameters: {p: {shape: [9]}}\n")

    assert [node.shape for node in graph.derived[0].expression.walk()] == [(64,), (70,), (9,)]


INITS = """
share:
  - layers.{l}.attn.q.weight = mix(T, 4)
  - layers.{l}.attn.k.weight = W + low_rank(4) + scale(V) + hashed(pool)
  - layers.{l}.mlp.up.weight = einsum('or,ri->oi', X, Y, r=8)
  - head.weight = V2 + low_rank(4) + low_rank(2)
  - embed.weight = E * scale(E)
parameters:
  pool: {shape: [9]}
  low_rank: {init: zeros, lr: 2}
  low_rank2: {init: ones}
  low_rank2.A: {init: normal(0.1), weight_decay: 0}
"""


def test_initial_values_by_their_precedence() -> None:
    groups = groups_of(build(INITS))

    def init(name: str) -> str:
        return str(groups[name].policy.init)

    assert {name: init(name) for name in ("T", "W", "V", "pool", "X", "E")} == {
        "T": "normal", "W": "first", "V": "first", "pool": "normal", "X": "variance", "E": "first",
    }  # fmt: skip
    assert init("mix.a[layers.0.attn.q.weight]") == "orthogonal_rows"
    assert init("low_rank.B[head.weight]") == init("low_rank.A[head.weight]") == "zeros"
    assert init("low_rank2.B[head.weight]") == "ones" and init("low_rank2.A[head.weight]") == "normal(0.1)"
    assert groups["low_rank2.A[head.weight]"].policy.lr == 2
    assert groups["low_rank2.A[head.weight]"].policy.weight_decay == 0
    assert groups["T"].policy.slices and not groups["pool"].policy.slices
    assert groups["T"].policy.init_sites == () and groups["W"].policy.init_sites == ("layers.0.attn.k.weight",)


def test_a_default_gives_way_to_a_site_that_reads_the_parameter_as_it_is() -> None:
    graph = build("share:\n  - bn.weight = pool\n  - layers.{l}.norm.weight = hashed(pool)\n")

    assert str(groups_of(graph)["pool"].policy.init) == "first"
    assert groups_of(graph)["pool"].policy.init_sites == ("bn.weight",)


def test_the_equation_says_what_its_functions_bring() -> None:
    graph = build(
        """
        share:
          - sites: layers.{l}.attn.{m}.weight
            equals: W[m] + low_rank(8)[l] + low_rank(4)
            init: {W: mean, low_rank: svd, low_rank2.B: ones}
        """
    )

    groups = groups_of(graph)
    assert groups["W[q]"].policy.init_sites == tuple(f"layers.{layer}.attn.q.weight" for layer in range(6))
    assert groups["low_rank.A[3]"].policy.init_sites == ("layers.3.attn.q.weight",)
    inits = {group.name.family: str(group.policy.init) for group in graph.groups}
    assert inits == {
        "W": "mean", "low_rank.A": "svd", "low_rank.B": "svd", "low_rank2.A": "svd", "low_rank2.B": "ones",
    }  # fmt: skip


def test_a_plain_init_is_not_for_what_functions_bring() -> None:
    graph = build("share:\n  - {sites: embed.weight, equals: 'E + low_rank(4)', init: zeros}\n")

    assert [str(group.policy.init) for group in graph.groups] == ["zeros", "kaiming_uniform", "zeros"]


def test_what_is_drawn_trains_on_a_frozen_site() -> None:
    module = trees.table_model()
    module.get_parameter("embed.weight").requires_grad_(False)

    graph = build("share:\n  - embed.weight = E + low_rank(4)\n", module)

    assert [group.meta.trainable for group in graph.groups] == [False, True, True]


def test_both_names_of_one_parameter_are_derived_alike() -> None:
    module = trees.tree(trees.embedding_and_head(9, 4), ties=[["embed.weight", "head.weight"]])

    graph = build("share:\n  - embed.weight = E + low_rank(2)\n", module)

    assert [derived.site for derived in graph.derived] == ["embed.weight", "head.weight"]
    assert graph.derived[0].expression == graph.derived[1].expression
    assert all(group.sites == ("embed.weight", "head.weight") for group in graph.groups)


def test_penalties_bind_nothing() -> None:
    graph = build(
        """
        share:
          - layers.{l}.norm.weight = N[l % 2]
          - {sites: "layers.{l}.norm.weight", equals: "stop(N[(l + 1) % 2])", penalty: 0.1 * l}
          - {sites: bn.weight, equals: "N[0]", penalty: 2}
        """
    )

    assert [(one.site, one.weight, str(one.expression.parameters[0])) for one in graph.penalties[1:3]] == [
        ("layers.1.norm.weight", 0.1, "N[0]"),
        ("layers.2.norm.weight", 0.2, "N[1]"),
    ]
    assert graph.penalties[-1].expression == Read((64,), graph.groups[0].name)
    assert "bn.weight" in dict(graph.private)
    assert not graph.derived and not graph.warnings


def test_every_site_at_once() -> None:
    text = "share:\n  - {sites: '**', equals: 'W0[site] + project(z)'}\nparameters: {z: {shape: [9]}}\n"

    graph = build(text)

    assert sum(group.meta.numel for group in graph.groups) == trees.count(trees.table_model()) + 9
    assert not graph.private


def test_an_argument_that_has_its_default_is_as_if_it_were_left_out() -> None:
    inventory = take_inventory(nn.Sequential(nn.Linear(4, 4)))
    pairs = {
        "normalize(W, dim=0)": "normalize(W)",
        "roll(W, dim=0, n=1)": "roll(W, 1)",
        "hashed(W, sign=True, chunk=2)": "hashed(W, 0, 2)",
    }
    for long, short in pairs.items():
        graphs = [
            build_graph(load_spec({"share": [f"0.weight = {text}"], "parameters": shape}), inventory)
            for text in (long, short)
            for shape in [{"W": {"shape": [5]}} if "hashed" in text else {}]
        ]
        assert graphs[0] == graphs[1]
