"""`resize_vocabulary`: all members, biases, maps and sizes together, or nothing."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from lightning_tying.api import get_plan, make_plan, tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.resize import resize_vocabulary


class Words(nn.Module):
    """An embedding and a head with a bias; it says how many rows there are."""

    def __init__(self, rows: int = 12, width: int = 8) -> None:
        super().__init__()
        self.vocab_size = rows
        self.embed = nn.Embedding(rows, width, padding_idx=0)
        self.body = nn.Linear(width, width)
        self.head = nn.Linear(width, rows)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(self.embed(tokens))))


TIED = {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E"}]}
OLD = torch.arange(12)


def shapes(module):
    return {name: tuple(each.shape) for name, each in module.named_parameters(remove_duplicate=False)}


def test_all_that_knows_the_vocabulary():
    model = Words()
    tie(model, TIED)
    before = model(OLD)
    plan = resize_vocabulary(model, "E", 13, pad_to_multiple_of=8)
    verify(model)
    assert shapes(model)["embed.weight"] == shapes(model)["head.weight"] == (16, 8)
    assert model.head.bias.shape == (16,) and not model.head.bias[12:].any()
    assert (model.embed.num_embeddings, model.head.out_features, model.vocab_size) == (16, 16, 16)
    assert (model.embed.padding_idx, model.body.out_features) == (0, 8)
    torch.testing.assert_close(model(OLD)[:, :12], before)
    model(torch.arange(16)).sum().backward()
    assert get_plan(model) is plan
    assert dict(plan.graph.private)["head.bias"].shape == (16,)


def test_the_plan_is_that_of_a_model_built_so():
    model, large = Words(), Words(16)
    tie(model, TIED)
    assert resize_vocabulary(model, "E", 16).graph == make_plan(large, TIED).graph
    large.load_state_dict(model.state_dict(), strict=False)
    tie(large, TIED)
    large.load_state_dict(model.state_dict())
    torch.testing.assert_close(large(OLD), model(OLD))


def test_fewer_rows():
    model = Words()
    tie(model, TIED)
    before = model(OLD[:7])
    resize_vocabulary(model, "E", 7)
    assert model(OLD[:7]).shape == (7, 7)
    torch.testing.assert_close(model(OLD[:7]), before[:, :7])


def test_as_many_rows_as_before_changes_nothing():
    model = Words()
    tie(model, TIED)
    held = model.embed.weight
    resize_vocabulary(model, "E", 12)
    assert model.embed.weight is held


def test_new_rows_are_drawn_by_the_groups_rule_or_are_the_mean():
    model, twin = Words(), Words()
    for each in (model, twin):
        tie(each, TIED | {"parameters": {"E": {"init": "constant(0.25)"}}})
        with torch.no_grad():
            each.embed.weight.normal_()
    resize_vocabulary(model, "E", 14)
    assert torch.equal(model.embed.weight[12:], torch.full((2, 8), 0.25))
    expected = twin.embed.weight.mean(dim=0)
    resize_vocabulary(twin, "E", 14, new_rows="mean")
    torch.testing.assert_close(twin.embed.weight[13], expected)


def test_a_rule_that_solves_draws_with_the_deviation_of_the_old_rows():
    model = Words(rows=400, width=32)
    tie(model, TIED)
    with torch.no_grad():
        model.embed.weight.mul_(0.01)
    resize_vocabulary(model, "E", 800)
    assert 0.009 < float(model.embed.weight[400:].std()) < 0.011


@pytest.mark.parametrize(
    "equation",
    ["E + low_rank(2)", "E + cell", "E * scale(0)"],
)
def test_deltas_of_the_head_follow(equation):
    model = Words()
    tie(model, {"share": ["embed.weight = E", f"head.weight = {equation}"]})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    before = model(OLD)
    resize_vocabulary(model, "E", 20)
    verify(model)
    torch.testing.assert_close(model(OLD)[:, :12], before)
    model(torch.arange(20)).sum().backward()
    twin = copy.deepcopy(model).double()
    assert twin(OLD).shape == (12, 20)


def test_a_square_table_that_is_read_transposed():
    """Both dimensions are 12 large; only one choice agrees with the spec."""

    class Square(Words):
        def __init__(self) -> None:
            super().__init__(12, 12)
            self.head = nn.Linear(12, 12, bias=False)

        def forward(self, tokens):
            return self.body(self.embed(tokens)) @ self.head.weight

    model = Square()
    tie(model, {"share": ["embed.weight = E", "head.weight = t(E)"]})
    before = model(OLD)
    resize_vocabulary(model, "E", 20)
    assert (model.embed.weight.shape, model.head.weight.shape) == ((20, 12), (12, 20))
    assert (model.head.in_features, model.head.out_features) == (20, 12)
    assert model.body.weight.shape == (12, 12)
    torch.testing.assert_close(model(OLD)[:, :12], before)


def test_a_tied_bias_goes_along():
    """As in BERT, whose head has its bias a second time beside it."""

    class Head(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(12))

    model = Words()
    model.outer = Head()
    tie(model, {"share": [*TIED["share"], {"tie": ["head.bias", "outer.bias"], "name": "b"}]})
    resize_vocabulary(model, "E", 16)
    verify(model)
    assert model.outer.bias is model.head.bias and model.head.bias.shape == (16,)


def test_a_tied_bias_beside_a_weight_that_stays():
    model = Words()
    model.scores = nn.Linear(8, 12)
    tie(model, {"share": [*TIED["share"], {"tie": ["head.bias", "scores.bias"], "name": "b"}]})
    before = shapes(model)
    with pytest.raises(ApplyError, match=r"a bias beside scores.weight is tied to one that is resized"):
        resize_vocabulary(model, "E", 16)
    assert shapes(model) == before


def test_maps_are_read_again(tmp_path):
    file = tmp_path / "map.json"
    file.write_text(json.dumps([0, 2, 4, 6, 8]), encoding="utf-8")
    model = Words(5, 4)
    tie(model, {"share": [f"embed.weight = rows(vocab, map='{file}')", f"head.weight = rows(vocab, map='{file}')"]})
    before = model(OLD[:5])
    with pytest.raises(ApplyError, match=r"Write 11 rows into the files of its maps"):
        resize_vocabulary(model, "vocab", 11)
    file.write_text(json.dumps([0, 2, 4, 6, 8, 10, 3]), encoding="utf-8")
    resize_vocabulary(model, "vocab", 11)
    verify(model)
    assert shapes(model)["embed.parametrizations.weight.0.vocab"] == (11, 4)
    assert (model.embed.num_embeddings, model.head.out_features, model.vocab_size) == (7, 7, 7)
    torch.testing.assert_close(model(OLD[:5])[:, :5], before)
    file.unlink()
    with pytest.raises(ApplyError, match="cannot be read again"):
        resize_vocabulary(model, "vocab", 12)


def test_on_meta():
    with torch.device("meta"):
        model = Words()
    tie(model, TIED | {"parameters": {"E": {"init": "normal(0.02)"}}})
    resize_vocabulary(model, "E", 16)
    model.to_empty(device="cpu")
    verify(model)
    assert model.embed.weight.shape == (16, 8) and 0 < float(model.embed.weight.std()) < 0.1


def test_an_optimizer_that_holds_the_parameters():
    model = Words()
    tie(model, TIED)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ApplyError, match="came after the optimizer SGD, which holds parameters"):
        resize_vocabulary(model, "E", 16)
    assert shapes(model)["embed.weight"] == (12, 8)
    del optimizer
    resize_vocabulary(model, "E", 16)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("W", 16), {}, "`W` is not a shared parameter of this module"),
        (("E", 0), {}, "1 row or more"),
        (("E", 16), {"pad_to_multiple_of": 0}, "pad_to_multiple_of is 1 or more"),
        (("E", 16), {"new_rows": "zeros"}, "new_rows is init or mean"),
    ],
)
def test_bad_arguments(arguments, options, words):
    model = Words()
    tie(model, TIED)
    with pytest.raises(ApplyError, match=words):
        resize_vocabulary(model, *arguments, **options)


def test_a_spec_that_says_the_size_itself():
    model = Words()
    tie(model, {"share": ["embed.weight = E @ P", "head.weight = E @ P"], "parameters": {"E": {"shape": [12, 4]}}})
    before = shapes(model)
    with pytest.raises(ApplyError, match="`E` cannot get 16 rows"):
        resize_vocabulary(model, "E", 16)
    assert shapes(model) == before
    verify(model)


def test_a_spec_that_leaves_it_open():
    model = Words()
    tie(model, {"share": ["embed.weight = E @ P", "head.weight = E @ P"], "parameters": {"E": {"shape": ["_", 4]}}})
    before = model(OLD)
    resize_vocabulary(model, "E", 16)
    torch.testing.assert_close(model(OLD)[:, :12], before)


@pytest.mark.parametrize("bind_biases", [False, True])
def test_a_network_of_transformers(bind_biases):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2
    )
    network = transformers.LlamaForCausalLM(config)
    share = [{"tie": ["model.embed_tokens.weight", "lm_head.weight"], "name": "E"}]
    if bind_biases:
        share.append({"sites": "model.layers.{l}.{name*}", "equals": "block[name]"})
    tie(network, {"share": share})
    resize_vocabulary(network, "E", 40)
    assert network.config.vocab_size == network.model.vocab_size == 40
    assert network(torch.tensor([[39]])).logits.shape[-1] == 40
    verify(network)
