"""What the papers promise, on real torch modules: equivariance, exact rebuilding, one mask for all time steps."""

from __future__ import annotations

import math
from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from lightning_tying import tie
from lightning_tying.algebra.maps.index_maps import map_cells, read_map
from lightning_tying.lowering.penalty import reckon_penalty
from lightning_tying.spec import load_spec
from tests.gallery.hashing import hashed
from tests.gallery.schemes import CONFIGS, SCHEMES, make_module, read_site
from tests.trees import llama, stack, tree

pytestmark = pytest.mark.filterwarnings("ignore::lightning_tying.errors.SharingWarning")


def named(**modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(modules))


def random_tree(shapes: dict[str, list[int]]) -> nn.Module:
    module = tree(shapes, device="cpu", dtypes=dict.fromkeys(shapes, torch.float64))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def draw_parameters(module: nn.Module) -> None:
    """New values for every shared parameter, so that nothing depends on how they start."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()


def test_low_rank_at_full_rank_rebuilds_a_trained_model() -> None:
    shapes = llama(4, 6, 9, 2)
    module = random_tree(shapes)
    before = {site: module.get_parameter(site).detach().clone() for site in shapes}

    tie(module, load_spec(CONFIGS / "relaxed_recursive_transformer.yaml", let={"K": 2, "r": 100}))

    for site, shape in shapes.items():
        if len(shape) == 2:
            torch.testing.assert_close(read_site(module, site), before[site], rtol=0, atol=1e-5)


def test_low_rank_below_full_rank_is_the_best_of_its_rank() -> None:
    """Eckart and Young: what is left is the rest of the singular values."""
    shapes = {f"model.layers.{layer}.self_attn.q_proj.weight": [7, 7] for layer in range(4)}
    module = random_tree(shapes)
    before = {site: module.get_parameter(site).detach().clone() for site in shapes}

    spec = {"share": [_relaxed(rank=3)]}
    tie(module, spec)

    for layer, site in enumerate(shapes):
        mean = sum(before[other] for place, other in enumerate(shapes) if place % 2 == layer % 2) / 2
        left = torch.linalg.svdvals(before[site] - mean)[3:]
        torch.testing.assert_close((read_site(module, site) - before[site]).norm(), left.norm(), rtol=0, atol=1e-8)


def _relaxed(rank: int) -> dict[str, object]:
    return {
        "sites": "model.layers.{l}.{name*}.weight",
        "equals": f"W[name, l % 2] + low_rank({rank})",
        "init": {"W": "mean", "low_rank": "svd"},
    }


def test_a_whole_basis_is_exact() -> None:
    shapes = {f"model.layers.{layer}.mlp.up_proj.weight": [9, 7] for layer in range(4)}
    module = random_tree(shapes)
    before = {site: module.get_parameter(site).detach().clone() for site in shapes}

    equation = {
        "sites": "model.layers.{l}.mlp.{m}.weight",
        "equals": "basis(B[m, l // 2], d1)",
        "init": {"B": "svd_joint"},
    }
    tie(module, {"share": [equation]})

    for site in shapes:
        torch.testing.assert_close(read_site(module, site), before[site], rtol=0, atol=1e-5)


def attend(x: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention of one head, by its formula."""
    q, k, v = x @ query.T, x @ key.T, x @ value.T
    powers = (q @ k.T / math.sqrt(q.shape[1])).exp()
    return powers / powers.sum(-1, keepdim=True) @ v


def test_repeated_heads_are_multi_query_attention() -> None:
    """torch's attention with all heads on the tied weights, against one head of keys and values for all queries."""
    heads, width = 4, 3
    d = heads * width
    module = random_tree(stack(1, d, 5))
    plan = tie(module, load_spec(CONFIGS / "multi_query_attention.yaml", let={"heads": heads, "width": width}))
    one = {str(group.name): module.get_parameter(group.keeper) for group in plan.graph.groups}
    q, k, v = (read_site(module, f"layers.0.attn.{name}.weight") for name in "qkv")
    x = torch.randn(6, d, dtype=torch.float64)

    def split(weight: Tensor) -> Tensor:
        return (x @ weight.T).reshape(6, heads, width).transpose(0, 1)

    all_heads = functional.scaled_dot_product_attention(split(q), split(k), split(v))

    assert one["KV[k, 0]"].shape == (width, d)
    for head in range(heads):
        single = attend(x, q[width * head : width * (head + 1)], one["KV[k, 0]"], one["KV[v, 0]"])
        torch.testing.assert_close(all_heads[head], single, rtol=0, atol=1e-10)


def test_grouped_query_attention_pools_a_trained_models_heads() -> None:
    """Ainslie et al. 2023: a group starts as the mean of its heads."""
    module = random_tree(stack(1, 12, 5))
    heads = module.get_parameter("layers.0.attn.k.weight").detach().clone().reshape(4, 3, 12)

    plan = tie(module, load_spec(CONFIGS / "grouped_query_attention.yaml", let={"size": 2, "width": 3}))

    [pooled] = [module.get_parameter(group.keeper) for group in plan.graph.groups if str(group.name) == "KV[k, 0]"]
    expected = torch.cat([(heads[0] + heads[1]) / 2, (heads[2] + heads[3]) / 2])
    torch.testing.assert_close(pooled.detach(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scheme", ["vera", "tied_lora", "intrinsic_dimension"])
def test_deltas_start_at_nothing(scheme: str) -> None:
    """A model that is only given deltas computes what it computed before."""
    case = SCHEMES[scheme].make_case(1)
    module = make_module(case, 1)
    before = {site: module.get_parameter(site).detach().clone() for site in case.shapes}

    tie(module, load_spec(SCHEMES[scheme].file, let=dict(case.let)))

    for site in case.shapes:
        torch.testing.assert_close(read_site(module, site), before[site], rtol=0, atol=1e-12)


def test_p4_convolution_is_equivariant_to_rotation() -> None:
    model = named(
        lift=nn.Conv2d(3, 8, 3, padding=1, bias=False), act=nn.ReLU(), conv=nn.Conv2d(8, 12, 3, padding=1, bias=False)
    )
    tie(model, CONFIGS / "p4_convolution.yaml")
    draw_parameters(model)
    image = torch.randn(2, 3, 9, 9)

    turned_input = model(torch.rot90(image, 1, (-2, -1)))

    by_rotation = torch.rot90(model(image), 1, (-2, -1)).unflatten(1, (4, 3))
    torch.testing.assert_close(turned_input.unflatten(1, (4, 3)), by_rotation.roll(1, dims=1), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(turned_input.unflatten(1, (4, 3)), by_rotation, atol=1e-2)


def test_hashed_layer_is_its_dense_materialization() -> None:
    model = nn.ModuleDict({"fc": nn.ModuleList([nn.Linear(7, 5), nn.Linear(5, 3)])}).double()
    plan = tie(model, load_spec(CONFIGS / "hashed_nets.yaml", let={"ratio": 3}))
    pools = {str(group.name): model.get_parameter(group.keeper) for group in plan.graph.groups}
    x = torch.randn(4, 7, dtype=torch.float64)

    for i, layer in enumerate(model["fc"]):
        dense = hashed(pools[f"pool[{i}]"], (layer.out_features, layer.in_features), f"fc.{i}.weight")
        torch.testing.assert_close(layer(x), x @ dense.T + layer.bias, rtol=0, atol=1e-10)
        x = layer(x)


def unroll(x: Tensor, recurrent: Tensor, rnn: nn.LSTM) -> Tensor:
    """An LSTM step by step, with the same recurrent weight at all of them."""
    hidden = cell = torch.zeros(x.shape[1], rnn.hidden_size, dtype=x.dtype)
    outputs: list[Tensor] = []
    for step in x:
        gates = step @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + hidden @ recurrent.T + rnn.bias_hh_l0
        enter, forget, new, leave = gates.chunk(4, dim=-1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * new.tanh()
        hidden = leave.sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs)


def test_awd_mask_is_the_same_at_all_time_steps() -> None:
    model = nn.ModuleDict(
        {"embed": nn.Embedding(11, 5), "rnn": nn.LSTM(5, 5), "head": nn.Linear(5, 11, bias=False)}
    ).double()
    tie(model, CONFIGS / "awd_lstm.yaml")
    rnn = model["rnn"].train()
    x = torch.randn(7, 2, 5, dtype=torch.float64)
    whole = read_site(model.eval(), "rnn.weight_hh_l0").detach().clone()
    model.train()

    torch.manual_seed(5)
    output, _ = rnn(x)
    torch.manual_seed(5)
    masked = read_site(model, "rnn.weight_hh_l0").detach().clone()

    assert torch.all((masked == 0) | torch.isclose(masked, 2 * whole))
    assert 0.2 < (masked == 0).double().mean() < 0.8
    torch.testing.assert_close(output, unroll(x, masked, rnn), rtol=0, atol=1e-10)
    torch.manual_seed(6)
    assert not torch.allclose(output, rnn(x)[0]), "another forward pass draws another mask"
    model.eval()
    torch.testing.assert_close(rnn(x)[0], unroll(x, whole, rnn), rtol=0, atol=1e-10)


def test_reverse_complement_gives_the_opposite_strand() -> None:
    """Channels A, C, G, T: the complement reverses them, the opposite strand reverses positions too."""
    model = named(conv=nn.Conv1d(4, 6, 5)).double()
    tie(model, CONFIGS / "reverse_complement.yaml")
    draw_parameters(model)
    letters = functional.one_hot(torch.randint(4, (3, 20)), 4).transpose(1, 2).double()

    opposite = model(letters.flip(1, 2))

    torch.testing.assert_close(opposite, model(letters).flip(1, 2), rtol=0, atol=1e-10)


def test_a_linear_of_shifted_kernels_is_a_convolution() -> None:
    model = named(fc=nn.Linear(12, 10, bias=False)).double()
    plan = tie(model, load_spec(CONFIGS / "convolution.yaml", let={"size": 3}))
    draw_parameters(model)
    [group] = plan.graph.groups
    kernel = model.get_parameter(group.keeper)
    x = torch.randn(4, 12, dtype=torch.float64)

    convolved = functional.conv1d(x[:, None], kernel[None, None])[:, 0]

    torch.testing.assert_close(model(x), convolved, rtol=0, atol=1e-10)


def test_orbits_are_equivariant() -> None:
    model = named(deepset=nn.Linear(5, 5, bias=False), ring=nn.Linear(6, 6, bias=False)).double()
    tie(model, CONFIGS / "orbits.yaml")
    draw_parameters(model)
    members, around = torch.randn(3, 5, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    order = torch.tensor([3, 0, 4, 1, 2])

    torch.testing.assert_close(model.deepset(members[:, order]), model.deepset(members)[:, order], rtol=0, atol=1e-10)
    torch.testing.assert_close(model.ring(around.roll(2, 1)), model.ring(around).roll(2, 1), rtol=0, atol=1e-10)
    assert not torch.allclose(model.ring(around.flip(1)), model.ring(around).flip(1)), "a flip is not a turn"


def test_soft_sharing_adds_its_penalty() -> None:
    case = SCHEMES["soft_sharing"].make_case(0)
    module = make_module(case)
    tie(module, load_spec(CONFIGS / "soft_sharing.yaml", let={"strength": 0.3}))
    pairs = [(site, site.replace("models.b.", "models.a.")) for site in case.shapes if "models.b." in site]

    penalty = reckon_penalty(module)

    assert penalty is not None
    distances = [((module.get_parameter(b) - module.get_parameter(a)) ** 2).sum() for b, a in pairs]
    torch.testing.assert_close(penalty, 0.3 * sum(distances), rtol=0, atol=1e-10)
    penalty.backward()
    for b, a in pairs:
        slope = 0.6 * (module.get_parameter(b) - module.get_parameter(a)).detach()
        torch.testing.assert_close(module.get_parameter(b).grad, slope, rtol=0, atol=1e-10)
        torch.testing.assert_close(module.get_parameter(a).grad, -slope, rtol=0, atol=1e-10)


def test_fused_queries_and_keys_are_one_in_attention() -> None:
    """torch's own attention on a fused weight."""
    attention = nn.MultiheadAttention(6, 1, batch_first=True).double()
    block = nn.ModuleDict({"self_attn": attention})
    model = nn.ModuleDict({"layers": nn.ModuleList([block])})
    equations = ["layers.{l}.self_attn.in_proj_weight = concat(QK[l], QK[l], V[l])"]
    tie(model, {"share": [*equations, "layers.{l}.self_attn.in_proj_bias = concat(b[l], b[l], c[l])"]})
    draw_parameters(model)
    x = torch.randn(2, 5, 6, dtype=torch.float64)

    _, weights = attention(x, x, x)

    projected = x @ attention.in_proj_weight[:6].T + attention.in_proj_bias[:6]
    scores = (projected @ projected.transpose(1, 2) / math.sqrt(6)).exp()
    torch.testing.assert_close(weights, scores / scores.sum(-1, keepdim=True), rtol=0, atol=1e-10)


def test_a_projection_starts_as_the_rotation_between_trained_tables() -> None:
    """Two trained tables whose shared words are one cloud, turned: united and projected, both are what they were."""
    shapes = {"embed.de.weight": [500, 6], "embed.en.weight": [450, 6]}
    module = random_tree(shapes)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64))[0]
    maps = {lang: read_map(f"maps/rows.safetensors#{lang}", CONFIGS) for lang in ("de", "en")}
    rows = {lang: map_cells(found, found.shape) for lang, found in maps.items()}
    united = torch.randn(800, 6, dtype=torch.float64)
    with torch.no_grad():
        module.get_parameter("embed.de.weight").copy_(united[rows["de"]])
        module.get_parameter("embed.en.weight").copy_(united[rows["en"]] @ turn)
    before = {site: module.get_parameter(site).detach().clone() for site in shapes}

    plan = tie(module, load_spec(CONFIGS / "projected_vocabularies.yaml", let={"width": 6}))

    found = {str(group.name): module.get_parameter(group.keeper).detach() for group in plan.graph.groups}
    torch.testing.assert_close(found["P[de]"], torch.eye(6, dtype=torch.float64))
    torch.testing.assert_close(found["P[en]"], turn, rtol=0, atol=1e-6)
    for site in shapes:
        torch.testing.assert_close(read_site(module, site), before[site], rtol=0, atol=1e-6)
