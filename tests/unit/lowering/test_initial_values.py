"""Initial values that are taken over from sites, against definitions written in numpy."""

from __future__ import annotations

from json import dumps
from struct import pack

import numpy as np
import pytest
import torch
from torch import nn

from lightning_tying.algebra.expression import ScalarMap
from lightning_tying.algebra.fits.solve import compute_value
from lightning_tying.errors import ApplyError
from tests.unit.lowering.hand_graphs import (
    add,
    call,
    draw_sites,
    low_rank,
    make_graph,
    matmul,
    name,
    read,
    solve,
    times,
)  # fmt: skip


def array(values):
    return values.detach().double().numpy()


def relaxed(rank, shape=(10, 7), layers=4, kinds=2):
    return make_graph(
        {f"layers.{i}": add(read(f"W[{i % kinds}]", *shape), low_rank(shape, rank, i)) for i in range(layers)},
        {"W": "mean", "low_rank.A": "svd", "low_rank.B": "svd"},
    )


def test_full_rank_rebuilds_trained_layers():
    graph = relaxed(7)
    initial, values = solve(graph, draw_sites(graph))
    assert len(initial.report.distances) == 4
    assert max(distance for _, distance in initial.report.distances) < 1e-5
    assert values["low_rank.B[3]"].dtype == torch.float32 and not initial.report.warnings


def test_low_rank_takes_the_best_part_of_what_the_mean_leaves():
    graph = relaxed(3)
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites)
    for i in range(4):
        mean = (array(sites[f"layers.{i % 2}"]) + array(sites[f"layers.{i % 2 + 2}"])) / 2
        u, s, v = np.linalg.svd(array(sites[f"layers.{i}"]) - mean)
        np.testing.assert_allclose(array(values[f"W[{i % 2}]"]), mean, atol=1e-12)
        delta = array(values[f"low_rank.B[{i}]"]) @ array(values[f"low_rank.A[{i}]"])
        np.testing.assert_allclose(delta, (u[:, :3] * s[:3]) @ v[:3], atol=1e-10)


def basis_graph(rank, init="svd_joint", shape=(6, 8)):
    own = [{f"basis.C[{i}]": (shape[0], rank)} for i in range(2)]
    reads = {f"layers.{i}": call("basis", shape, read("X", rank, shape[1]), own=own[i], r=rank) for i in range(2)}
    return make_graph(reads, {"X": init, "basis.C": "solved"})


def test_basis_at_ratio_one_is_exact():
    graph = basis_graph(8)
    initial, _ = solve(graph, draw_sites(graph))
    assert max(distance for _, distance in initial.report.distances) < 1e-6


def test_basis_is_the_svd_of_the_stacked_sites():
    graph = basis_graph(3)
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites)
    stack = np.concatenate([array(sites["layers.0"]), array(sites["layers.1"])])
    u, s, v = np.linalg.svd(stack, full_matrices=False)
    found = np.concatenate([array(values[f"basis.C[{i}]"]) for i in range(2)]) @ array(values["X"])
    np.testing.assert_allclose(found, (u[:, :3] * s[:3]) @ v[:3], atol=1e-10)


def write_safetensors(path, tensors):
    header, content = {"__metadata__": {"made": "by a test"}}, b""
    for key, value in tensors.items():
        header[key] = {
            "dtype": "F64",
            "shape": list(value.shape),
            "data_offsets": [len(content), len(content) + 8 * value.size],
        }
        content += np.ascontiguousarray(value).tobytes()
    text = dumps(header).encode()
    path.write_bytes(pack("<Q", len(text)) + text + content)


@pytest.fixture
def moments():
    draw = np.random.default_rng(0)
    inputs = [draw.normal(size=(50, 8)) * np.linspace(0.1, 3, 8) for _ in range(2)]
    return {f"layers.{i}": each.T @ each for i, each in enumerate(inputs)}


@pytest.mark.parametrize("block", [None, 16, 4])
def test_whitened_templates_of_convolutions(tmp_path, moments, block):
    """A convolution is read as a matrix; a block of whole rows is whitened, one that ends inside a row is not."""
    shape, cells = (6, 4, 2), block or 48
    read_x = read("X", 1, block) if block else read("X", 1, *shape)
    own = [{f"mix.a[{i}]": (48 // cells, 1) if block else (1,)} for i in range(2)]
    reads = {f"layers.{i}": call("mix", shape, read_x, own=own[i], k=1, block=block) for i in range(2)}
    write_safetensors(tmp_path / "xtx.safetensors", moments)
    graph = make_graph(reads, {"X": "svd_joint(whiten='xtx.safetensors')", "mix.a": "orthogonal_rows"})
    sites = draw_sites(graph, torch.float64)

    _, values = solve(graph, sites, folder=tmp_path)

    factor = np.linalg.cholesky(moments["layers.0"] + moments["layers.1"])
    stack = np.concatenate([(array(site).reshape(6, 8) @ factor).reshape(-1, cells) for site in sites.values()])
    u, s, v = np.linalg.svd(stack, full_matrices=False)
    nearest = ((u[:, :1] * s[:1]) @ v[:1]).reshape(2, 6, 8) @ np.linalg.inv(factor)
    coefficients = np.concatenate([array(values[f"mix.a[{i}]"]).reshape(-1, 1) for i in range(2)])
    found = (coefficients @ array(values["X"]).reshape(1, -1)).reshape(2, 6, 8)
    assert np.allclose(found, nearest, atol=1e-8) == (block != 4)


def test_whitening_makes_the_outputs_nearest(tmp_path, moments):
    write_safetensors(tmp_path / "xtx.safetensors", moments)
    graph = basis_graph(3, "svd_joint(whiten='xtx.safetensors')")
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites, folder=tmp_path)
    factor = np.linalg.cholesky(moments["layers.0"] + moments["layers.1"])
    stack = np.concatenate([array(sites["layers.0"]), array(sites["layers.1"])])
    found = np.concatenate([array(values[f"basis.C[{i}]"]) for i in range(2)]) @ array(values["X"])
    u, s, v = np.linalg.svd(stack @ factor, full_matrices=False)
    np.testing.assert_allclose(found @ factor, (u[:, :3] * s[:3]) @ v[:3], atol=1e-9)


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda path, _: path.unlink(), "xtx.safetensors does not exist (svd_joint). Beside it: other.safetensors."),
        (lambda path, _: path.write_bytes(b"\xff" * 20), "xtx.safetensors is not a safetensors file"),
        (lambda path, _: path.write_bytes(b"abc"), "xtx.safetensors is not a safetensors file"),
        (
            lambda path, m: write_safetensors(path, {"layers.0": m["layers.0"]}),
            "has no XᵀX of layers.1. It has layers.0.",
        ),
        (
            lambda path, m: write_safetensors(path, {**m, "layers.1": np.eye(3)}),
            "[3, 3], and the site has 8 inputs: [8, 8].",
        ),
        (lambda path, m: write_safetensors(path, {**m, "layers.1": -9e9 * np.eye(8)}), "no negative eigenvalues"),
        (lambda path, m: write_safetensors(path, {**m, "layers.1": np.full((8, 8), np.nan)}), "finite and symmetric"),
        (lambda path, _: path.write_bytes(path.read_bytes()[:-8]), "cut off or damaged at layers.1"),
    ],
)
def test_a_calibration_file_that_does_not_serve(tmp_path, moments, break_it, said):
    path = tmp_path / "xtx.safetensors"
    for each in (path, tmp_path / "other.safetensors"):
        write_safetensors(each, moments)
    break_it(path, moments)
    graph = basis_graph(3, "svd_joint(whiten='xtx.safetensors')")
    with pytest.raises(ApplyError) as caught:
        solve(graph, draw_sites(graph), folder=tmp_path)
    assert said in str(caught.value)


def test_few_samples_are_enough(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(3, 8))
    write_safetensors(tmp_path / "xtx.safetensors", {f"layers.{i}": inputs.T @ inputs for i in range(2)})
    graph = basis_graph(8, "svd_joint(whiten='xtx.safetensors')")
    initial, _ = solve(graph, draw_sites(graph), folder=tmp_path)
    assert max(distance for _, distance in initial.report.distances) < 1e-3


def test_templates_are_fitted_to_all_their_sites():
    shape = (4, 3)
    reads = {f"layers.{i}": call("mix", shape, read("T", 3, *shape), own={f"mix.a[{i}]": (3,)}, k=3) for i in range(3)}
    graph = make_graph(reads, {"T": "svd_joint", "mix.a": "orthogonal_rows"})
    initial, _ = solve(graph, draw_sites(graph))
    assert max(distance for _, distance in initial.report.distances) < 1e-6


def test_a_joint_fit_below_another_function():
    shape = (4, 3)
    reads = {}
    for i in range(3):
        value = call("mix", shape, read("T", 3, *shape), own={f"mix.a[{i}]": (3,)}, k=3)
        scaled = call("scale", shape, value, own={f"scale.s[{i}]": ()}, dim=None)
        reads[f"layers.{i}"] = call("t", shape[::-1], add(scaled, low_rank(shape, 1, i)))
    inits = {"T": "svd_joint", "mix.a": "orthogonal_rows", "scale.s": "constant(2.0)"}
    graph = make_graph(reads, {**inits, "low_rank.A": "kaiming_uniform", "low_rank.B": "zeros"})
    initial, _ = solve(graph, draw_sites(graph))
    assert max(distance for _, distance in initial.report.distances) < 1e-6


def test_coefficients_with_a_rule_of_their_own_are_not_fitted():
    shape = (4, 3)
    reads = {f"layers.{i}": call("mix", shape, read("T", 3, *shape), own={f"mix.a[{i}]": (3,)}, k=3) for i in range(3)}
    graph = make_graph(reads, {"T": "svd_joint", "mix.a": "ones"})
    _, values = solve(graph, draw_sites(graph))
    assert torch.equal(values["mix.a[1]"], torch.ones(3))


def test_mean_pools_heads():
    shape, heads = (12, 5), 3
    own = call("repeat", shape, read("KV", 4, 5), n=heads, dim=0, block=4)
    graph = make_graph({"k": own}, {"KV": "mean"})
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites)
    np.testing.assert_allclose(array(values["KV"]), array(sites["k"]).reshape(heads, 4, 5).mean(0), atol=1e-12)


def test_a_factorized_embedding_is_its_svd():
    graph = make_graph({"embed": matmul(read("E", 12, 4), read("P", 4, 6))})
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites)
    u, s, v = np.linalg.svd(array(sites["embed"]), full_matrices=False)
    np.testing.assert_allclose(array(values["E"]) @ array(values["P"]), (u[:, :4] * s[:4]) @ v[:4], atol=1e-10)
    np.testing.assert_allclose(np.abs(array(values["E"])), np.abs(u[:, :4] * np.sqrt(s[:4])), atol=1e-10)


def test_tensor_train_svd():
    cores = (read("G[0]", 1, 3, 2, 6), read("G[1]", 6, 2, 2, 6), read("G[2]", 6, 4, 3, 1))
    value = call("tt", (24, 12), *cores, rows=(3, 2, 4), cols=(2, 2, 3), rank=6)
    graph = make_graph({"embed": value}, {"G": "svd"})
    cells = [torch.randn(core.shape, dtype=torch.float64) for core in cores]
    wanted = torch.einsum("xabp,pcdq,qefx->acebdf", *cells).reshape(24, 12)
    initial, values = solve(graph, {"embed": nn.Parameter(wanted)})
    assert set(values) == {"G[0]", "G[1]", "G[2]"} and initial.report.distances[0][1] < 1e-10
    assert float(values["G[0]"].norm()) == pytest.approx(float(values["G[2]"].norm()))  # all from one fit


def test_a_mean_is_not_settled_along_with_another():
    graph = make_graph({f"embed.{i}": matmul(read(f"E[{i}]", 12, 4), read("P", 4, 6)) for i in range(2)}, {"P": "mean"})
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites)
    with torch.no_grad():
        sites["embed.1"] *= 100
    _, others = solve(graph, sites)
    assert torch.equal(values["E[0]"], others["E[0]"]) and not torch.allclose(values["P"], others["P"])


def test_a_hadamard_relation_keeps_both_sites():
    graph = make_graph({"a": read("U", 5, 4), "b": times(read("U", 5, 4), read("V", 5, 4))})
    sites = draw_sites(graph, torch.float64)
    initial, values = solve(graph, sites)
    assert list(values) == ["V"]  # the owner of U keeps what it has
    np.testing.assert_allclose(array(values["V"]), array(sites["b"]) / array(sites["a"]), rtol=1e-12)
    assert dict(initial.report.distances) == {"a": 0, "b": pytest.approx(0, abs=1e-12)}


def test_a_cell_divided_by_zero_is_left_to_other_uses():
    value = times(read("U", 2, 2), read("V", 2, 2))
    graph = make_graph({"a": read("U", 2, 2), "b": value, "c": add(read("V", 2, 2), read("U", 2, 2))})
    sites = draw_sites(graph, torch.float64)
    with torch.no_grad():
        sites["a"][0, 0] = 0
    _, values = solve(graph, sites)
    assert values["V"][0, 0] == sites["c"][0, 0] and values["V"][1, 1] == sites["b"][1, 1] / sites["a"][1, 1]


def rows(count, text):
    return call("rows", (count, 3), read("vocab", 6, 3), map=ScalarMap(text), block=1)


def test_a_row_that_the_first_use_does_not_read_comes_from_the_next():
    graph = make_graph({"de": rows(4, "i0"), "en": rows(4, "i0 + 2")})
    sites = draw_sites(graph)
    _, values = solve(graph, sites)
    assert torch.equal(values["vocab"], torch.cat([sites["de"], sites["en"][2:]]))


def test_mean_is_over_all_cells_that_read_a_cell():
    graph = make_graph({"de": rows(5, "i0 % 4"), "en": rows(4, "i0 + 2")}, {"vocab": "mean"})
    sites = draw_sites(graph, torch.float64)
    _, values = solve(graph, sites)
    de, en = array(sites["de"]), array(sites["en"])
    wanted = np.stack([(de[0] + de[4]) / 2, de[1], (de[2] + en[0]) / 2, (de[3] + en[1]) / 2, en[2], en[3]])
    np.testing.assert_allclose(array(values["vocab"]), wanted, atol=1e-12)


def test_signs_are_undone_when_hashed_sites_are_pooled():
    value = [call("hashed", (30, 20), read("pool", 40), key=str(i), seed=0, chunk=1, sign=True) for i in range(2)]
    graph = make_graph({"a": value[0], "b": value[1]}, {"pool": "mean"})
    pool = torch.randn(40, dtype=torch.float64)
    sites = draw_sites(graph, torch.float64)
    for fqn, each in zip("ab", value, strict=True):
        sites[fqn] = nn.Parameter(compute_value(each, {name("pool"): pool}, pool))
    _, values = solve(graph, sites)
    torch.testing.assert_close(values["pool"], pool)


def test_members_are_solved_at_the_sites_that_the_graph_names():
    graph = make_graph(
        {f"layers.{i}": add(read("W", 3, 3), low_rank((3, 3), 1, i)) for i in range(3)},
        {"W": ("stepwise", ("layers.2",)), "low_rank.A": "kaiming_uniform", "low_rank.B": "zeros"},
    )
    sites = draw_sites(graph)
    _, values = solve(graph, sites)
    assert torch.equal(values["W"], sites["layers.2"])


def test_a_site_that_is_no_use_stands_for_the_first():
    value = call("t", (3, 5), read("W", 5, 3))
    graph = make_graph({"a": value}, {"W": ("site(other)", ("other",))})
    sites = {**draw_sites(graph), "other": nn.Parameter(torch.randn(3, 5))}
    _, values = solve(graph, sites)
    assert torch.equal(values["W"], sites["other"].T)


def test_scale_matches_each_sites_norm():
    reads = {
        fqn: call("scale", shape, call("hashed", shape, read("pool", 50), key=fqn, seed=0, chunk=4, sign=True),
                  own={f"scale.s[{fqn}]": ()}, dim=None)
        for fqn, shape in {"a": (8, 8), "b": (20, 4)}.items()
    }  # fmt: skip
    graph = make_graph(reads, {"pool": "normal(1.0)", "scale.s": "match"})
    sites = draw_sites(graph, std=0.02)
    with torch.no_grad():
        sites["b"] *= 10
    initial, values = solve(graph, sites)
    assert not initial.report.warnings
    for fqn, expression in reads.items():
        value = compute_value(expression, initial.values, torch.empty(0, dtype=torch.float64))
        assert float(value.norm()) == pytest.approx(float(sites[fqn].detach().norm()), rel=1e-5)
    assert values["scale.s[a]"].shape == ()


def test_a_frozen_start_and_a_drawn_delta_give_the_site_back():
    shape = (6, 5)
    delta = call("einsum", shape, read("X", 6, 2), read("Y", 2, 5), formula="or,ri->oi", sizes=())
    graph = make_graph({"a": add(read("W0", *shape), delta)}, {"X": "variance", "Y": "variance"})
    initial, _ = solve(graph, draw_sites(graph))
    assert initial.report.distances[0][1] < 1e-6


def test_a_number_is_the_least_squares_factor():
    graph = make_graph({"a": read("U", 4, 4), "b": times(read("U", 4, 4), read("c"))})
    sites = {"a": nn.Parameter(torch.randn(4, 4)), "b": nn.Parameter(torch.randn(4, 4))}
    _, values = solve(graph, sites)
    wanted = (array(sites["a"]) * array(sites["b"])).sum() / (array(sites["a"]) ** 2).sum()
    assert float(values["c"]) == pytest.approx(wanted, rel=1e-6)


def test_a_function_without_a_fit_leaves_the_value_to_a_draw():
    graph = make_graph({"a": call("softmax", (30, 40), read("W", 30, 40), dim=-1)})
    _, values = solve(graph, draw_sites(graph, std=0.3))
    assert float(values["W"].std()) == pytest.approx(0.3, rel=0.1)


def test_dtype_and_shape_are_the_parameters():
    graph = make_graph({"a": call("t", (3, 5), read("W", 5, 3))}, dtypes={"W": "bfloat16"})
    sites = draw_sites(graph)
    _, values = solve(graph, sites)
    assert values["W"].dtype == torch.bfloat16 and values["W"].is_contiguous() and not values["W"].requires_grad
    assert torch.equal(values["W"], sites["a"].T.to(torch.bfloat16))


def test_nothing_is_written():
    graph = relaxed(3)
    sites = draw_sites(graph)
    before = {fqn: site.detach().clone() for fqn, site in sites.items()}
    _, values = solve(graph, sites)
    assert all(torch.equal(before[fqn], site) for fqn, site in sites.items())
    held = {site.data_ptr() for site in sites.values()}
    assert not held & {value.data_ptr() for value in values.values()}


def test_on_meta_everything_that_needs_a_value_waits():
    graph = relaxed(3)
    sites = {site.fqn: nn.Parameter(torch.empty(site.meta.shape, device="meta")) for site in graph.sites}
    initial, values = solve(graph, sites)
    assert not values and not initial.report.distances
    assert initial.pending == {group.name for group in graph.groups}


def test_what_is_read_beside_something_that_waits_waits_too():
    graph = relaxed(3, kinds=1)
    sites = dict(draw_sites(graph))
    sites["layers.0"] = nn.Parameter(torch.empty(10, 7, device="meta"))
    initial, values = solve(graph, sites)
    assert not values and name("low_rank.B[3]") in initial.pending


def test_on_meta_an_alias_keeps_what_its_owner_will_get():
    graph = make_graph({"a": read("U", 5, 4), "b": times(read("U", 5, 4), read("V", 5, 4))})
    sites = {site.fqn: nn.Parameter(torch.empty(site.meta.shape, device="meta")) for site in graph.sites}
    assert solve(graph, sites)[0].pending == {name("V")}


def test_far_sites_are_told_of():
    graph = make_graph({"k": call("repeat", (12, 5), read("KV", 4, 5), n=3, dim=0, block=4)}, {"KV": "mean"})
    report = solve(graph, draw_sites(graph))[0].report
    assert [each.code for each in report.warnings] == ["W5"] and report.far == 1
    assert str(report.warnings[0].text).startswith("1 site starts far from what it was, the worst k at 0.")


def test_pools_of_unlike_sites_are_told_of():
    reads = {
        fqn: call("hashed", (8, 8), read("pool", 50), key=fqn, seed=0, chunk=1, sign=True) for fqn in ("a", "b", "c")
    }
    graph = make_graph(reads, {"pool": "normal"})
    sites = draw_sites(graph)
    assert not solve(graph, sites)[0].report.warnings
    with torch.no_grad():
        sites["c"] *= 0.05
    (warning,) = solve(graph, sites)[0].report.warnings
    assert warning.code == "W4" and warning.text.startswith("The sites of `pool` have standard deviations 0.05")
    assert warning.text.endswith("Write scale(hashed(pool)) with init: {scale: match}.")
