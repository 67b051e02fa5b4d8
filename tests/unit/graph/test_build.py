"""What a spec means for a model: names, uses, owners, policies."""

from __future__ import annotations

import pytest
from torch import nn

from lightning_tying.errors import SpecError
from lightning_tying.graph.build import build_graph
from lightning_tying.graph.inventory import take_inventory
from lightning_tying.graph.ir import SharingGraph
from lightning_tying.spec.loader import load_spec
from tests import trees


def build(text: str, module: nn.Module | None = None, strict: bool = True) -> SharingGraph:
    return build_graph(load_spec(text), take_inventory(module or trees.table_model()), strict=strict)


def groups_of(graph: SharingGraph) -> dict[str, tuple[str, ...]]:
    return {str(group.name): group.sites for group in graph.groups}


def test_equal_names_and_indices_are_one_parameter() -> None:
    graph = build(
        """
        share:
          - layers.{l}.mlp.{m}.weight = W[m, l % 2]
          - embed.weight = E
          - head.weight = E
        """
    )

    groups = groups_of(graph)
    assert groups["W[up, 1]"] == tuple(f"layers.{layer}.mlp.up.weight" for layer in (1, 3, 5))
    assert groups["E"] == ("embed.weight", "head.weight")
    assert str(graph.groups[0].name) == "E", "groups stand in model order of their owners"
    assert {fqn for fqn, _ in graph.private} == {
        *(f"layers.{layer}.{name}.weight" for layer in range(6) for name in ("attn.q", "attn.k", "norm")),
        "bn.weight",
        "bn.bias",
    }


def test_a_tie_without_a_name_is_shown_as_its_owner() -> None:
    graph = build("share:\n  - tie: [head.weight, embed.weight]\n")

    (group,) = graph.groups
    assert (str(group.name), group.owner, group.sites) == (
        "embed.weight",
        "embed.weight",
        ("embed.weight", "head.weight"),
    )


def test_a_named_tie_and_an_equation_meet() -> None:
    graph = build("share:\n  - {tie: [layers.0.norm.weight, layers.1.norm.weight], name: N}\n  - bn.weight = N\n")

    assert groups_of(graph) == {"N": ("layers.0.norm.weight", "layers.1.norm.weight", "bn.weight")}


def test_patterns_are_relative_to_the_root() -> None:
    module = nn.ModuleDict({"network": trees.table_model()})

    graph = build("root: network\nshare:\n  - layers.{l}.norm.weight = N[site, l]\n", module)

    assert groups_of(graph)["N[layers.0.norm.weight, 0]"] == ("network.layers.0.norm.weight",)


def test_an_unknown_root_is_refused() -> None:
    module = nn.ModuleDict({"network": trees.table_model()})

    with pytest.raises(SpecError, match=r"`root: netwrok` is no module\. Nearest: network\."):
        build("root: netwrok\nshare:\n  - embed.weight = N\n", module)


def test_where_and_except_choose_sites() -> None:
    graph = build(
        """
        share:
          - {sites: "layers.{l}.{name*}", equals: "W[name]", where: ndim == 2, except: layers.0.**}
          - {sites: "{name*}", equals: "B[name]", where: module == 'BatchNorm1d'}
        """
    )

    groups = groups_of(graph)
    assert groups["W[attn.q.weight]"] == tuple(f"layers.{layer}.attn.q.weight" for layer in range(1, 6))
    assert groups["B[bn.weight]"] == ("bn.weight",)
    assert not any("norm" in name for name in groups)


def test_positions_are_counted_after_where_and_apart_for_each_prefix() -> None:
    shapes = {f"{side}.layers.{layer}.weight": [2] for side in ("a", "b") for layer in (6, 8, 10)}
    graph = build(
        """
        share:
          - {sites: "{s}.layers.{l}.weight", equals: "W[position(l), count(l)]", where: s == 'a' or l > 6}
        """,
        trees.tree(shapes),
    )

    assert groups_of(graph) == {
        "W[0, 3]": ("a.layers.6.weight",),
        "W[1, 3]": ("a.layers.8.weight",),
        "W[2, 3]": ("a.layers.10.weight",),
        "W[0, 2]": ("b.layers.8.weight",),
        "W[1, 2]": ("b.layers.10.weight",),
    }


def test_positions_are_counted_behind_stars() -> None:
    shapes = {f"{side}.deep.layers.{layer}.weight": [2] for side in ("a", "b") for layer in (3, 5)}

    graph = build("share:\n  - '**.layers.{l}.weight = W[position(l), count(l)]'\n", trees.tree(shapes))

    assert groups_of(graph)["W[1, 2]"] == ("a.deep.layers.5.weight", "b.deep.layers.5.weight")


def test_in_where_positions_are_counted_before_where() -> None:
    graph = build("share:\n  - {sites: 'layers.{l}.norm.weight', equals: N, where: position(l) < count(l) - 1}\n")

    assert groups_of(graph)["N"] == tuple(f"layers.{layer}.norm.weight" for layer in range(5))


def test_a_tie_of_the_model_that_nobody_binds_is_a_group() -> None:
    module = trees.tree(trees.embedding_and_head(9, 4) | {"norm.weight": [4]}, ties=[["embed.weight", "head.weight"]])

    graph = build("share:\n  - norm.weight = N\n", module)

    assert groups_of(graph) == {"embed.weight": ("embed.weight", "head.weight"), "N": ("norm.weight",)}


def test_binding_one_name_binds_the_parameter() -> None:
    shapes = trees.embedding_and_head(9, 4) | {"other.weight": [9, 4]}
    module = trees.tree(shapes, ties=[["embed.weight", "head.weight"]])

    graph = build("share:\n  - head.weight = E\n  - other.weight = E\n", module)

    assert groups_of(graph) == {"E": ("embed.weight", "head.weight", "other.weight")}


def test_the_same_spec_on_the_tied_model_gives_the_same_graph() -> None:
    shapes, text = trees.embedding_and_head(9, 4), "share:\n  - tie: [embed.weight, head.weight]\n"
    tied = trees.tree(shapes, ties=[["embed.weight", "head.weight"]])

    assert build(text, tied) == build(text, trees.tree(shapes))


def test_policies_are_resolved() -> None:
    graph = build(
        """
        share:
          - {sites: "layers.{l}.mlp.{m}.weight", equals: "W[m]", init: mean}
          - {sites: "layers.{l}.norm.weight", equals: N, init: normal(0.1)}
        parameters:
          W: {lr: 0.5, weight_decay: 0, frozen: true}
        """
    )

    up, down, norm = graph.groups
    assert (up.policy.lr, up.policy.weight_decay, up.meta.trainable) == (0.5, 0, False)
    assert up.policy.init_sites == up.sites and str(down.policy.init) == "mean"
    assert (str(norm.policy.init), norm.policy.init_sites) == ("normal(0.1)", ())


def test_what_parameters_say_comes_before_the_equation() -> None:
    graph = build("share:\n  - {sites: embed.weight, equals: E, init: mean}\nparameters:\n  E: {init: zeros}\n")

    assert str(graph.groups[0].policy.init) == "zeros"


def test_stepwise_spreads_members_over_their_sites() -> None:
    """Seven layers by `cycle` over three members: sites 0, 3 and 6 of the seven."""
    module = trees.tree({f"layers.{layer}.weight": [2] for layer in range(7)})

    graph = build("share:\n  - {sites: 'layers.{l}.weight', equals: 'W[l % 3]', init: stepwise}\n", module)

    assert {str(group.name): group.policy.init_sites for group in graph.groups} == {
        "W[0]": ("layers.0.weight",),
        "W[1]": ("layers.3.weight",),
        "W[2]": ("layers.6.weight",),
    }


def test_stepwise_leaves_members_of_one_use_at_their_site() -> None:
    module = trees.tree({f"layers.{layer}.weight": [2] for layer in range(6)})

    graph = build("share:\n  - {sites: 'layers.{l}.weight', equals: 'W[middle_cycle(l, 2)]', init: stepwise}\n", module)

    sites = {str(group.name): group.policy.init_sites for group in graph.groups}
    assert sites == {
        "W[0]": ("layers.0.weight",),
        "W[1]": ("layers.1.weight",),
        "W[2]": ("layers.4.weight",),
        "W[3]": ("layers.5.weight",),
    }


def test_site_takes_the_captures_of_its_uses() -> None:
    graph = build(
        """
        share:
          - {sites: "layers.{l}.mlp.{m}.weight", equals: "W[m]", init: "site(layers.3.mlp.{m}.weight)"}
        """
    )

    assert [group.policy.init_sites for group in graph.groups] == [
        ("layers.3.mlp.up.weight",),
        ("layers.3.mlp.down.weight",),
    ]


def test_nothing_shared_is_a_warning() -> None:
    graph = build("share:\n  - layers.{l}.{name*} = W[name, l]\n")

    (warning,) = graph.warnings
    assert (warning.code, warning.text) == ("W2", "Nothing is shared by line 2: each `W[name, l]` has one use.")


def test_a_comparison_that_never_holds_is_a_warning() -> None:
    graph = build("share:\n  - {sites: 'layers.{l}.attn.{m}.weight', equals: W, where: m == 'kk' or m == 'q'}\n")

    assert [warning.text for warning in graph.warnings] == ["`m == 'kk'` never holds: m is 'k' or 'q'."]


def test_without_strictness_the_rest_is_done() -> None:
    graph = build("share:\n  - nothing.here = W\n  - layers.{l}.norm.weight = N\n", strict=False)

    assert set(groups_of(graph)) == {"N"}
    assert [warning.code for warning in graph.warnings] == ["25"]


def test_a_declared_shape_must_be_that_of_the_sites() -> None:
    with pytest.raises(
        SpecError, match=r"`N` is declared \[d0, 2\]|`N` is declared \[64, 2\] and is \[64\] at layers\.0"
    ):
        build("share:\n  - layers.{l}.norm.weight = N\nparameters:\n  N: {shape: [d0, 2]}\n")

    build("share:\n  - layers.{l}.norm.weight = N\nparameters:\n  N: {shape: [d0]}\n")
