"""`change_rows`: embedding, head, biases and sizes follow a new vocabulary, kept rows bit for bit, or nothing does."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from lightning_tying.api import get_plan, make_plan, tie, verify
from lightning_tying.errors import ApplyError
from lightning_tying.lowering.edits.change_rows import change_rows
from lightning_tying.lowering.edits.new_rows import make_row_change


@dataclass
class Origins:
    kept: list[int]
    parts: list[list[int]] = field(default_factory=list)
    old_size: int = 12


# 12 old ids; the new vocabulary has 9: six of the old ones in another order, and three new ones
ORIGINS = Origins([0, 1, 7, -1, 3, -1, 11, 5, -1], [[], [], [], [2, 4], [], [4], [], [], []])
KEPT = torch.tensor([new for new, old in enumerate(ORIGINS.kept) if old >= 0])
FROM = torch.tensor([old for old in ORIGINS.kept if old >= 0])
CHANGE = make_row_change(ORIGINS, "subword_mean")


class Words(nn.Module):
    """An embedding and a head with a bias; it says how many rows there are."""

    def __init__(self, rows: int = 12, width: int = 8, *, by_code: bool = False) -> None:
        super().__init__()
        self.vocab_size = rows
        self.embed = nn.Embedding(rows, width)
        self.places = nn.Embedding(5, width)
        self.body = nn.Linear(width, width)
        self.head = nn.Linear(width, rows)
        if by_code:
            self.head.weight = self.embed.weight
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(self.embed(tokens))))


SPECS = {
    "tied": {"share": [{"tie": ["embed.weight", "head.weight"], "name": "E"}]},
    "apart": {"share": ["embed.weight = E", "head.weight = H", "head.bias = b"]},
    "elsewhere": {"share": ["body.weight = B"]},
    "delta": {"share": ["embed.weight = E", "head.weight = E + low_rank(2)"]},
    "factors": {"share": ["embed.weight = E @ P", "head.weight = E @ P"], "parameters": {"E": {"shape": ["_", 4]}}},
    "transposed": {"share": ["embed.weight = t(E)", "head.weight = t(E)"]},
}


def check_carried(model: Words, before: torch.Tensor) -> None:
    assert (model.embed.num_embeddings, model.head.out_features, model.vocab_size) == (9, 9, 9)
    assert model.head.bias.shape == (9,) and model.places.num_embeddings == 5
    torch.testing.assert_close(model(KEPT)[:, KEPT], before[FROM][:, FROM])
    model(torch.arange(9)).sum().backward()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_way_of_sharing(spec):
    model = Words()
    tie(model, spec)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    before, bias = model(torch.arange(12)), model.head.bias.detach().clone()
    embedded = model.embed.weight.detach().clone()
    done = change_rows(model, CHANGE)
    verify(model)
    check_carried(model, before)
    assert (done.old_rows, done.rows) == (12, 9)
    assert torch.equal(model.head.bias[KEPT], bias[FROM])
    torch.testing.assert_close(model.head.bias[3], (bias[2] + bias[4]) / 2)
    torch.testing.assert_close(model.embed.weight[3], (embedded[2] + embedded[4]) / 2)
    torch.testing.assert_close(model.embed.weight[8], embedded.mean(0))
    parameters = dict(model.named_parameters())
    assert done.parameters and all(parameters[name].shape[place] == 9 for name, place in done.parameters.items())
    assert {name for name, each in parameters.items() if 9 in each.shape} == set(done.parameters)


@pytest.mark.parametrize("by_code", [False, True])
def test_a_module_without_a_spec(by_code):
    model = Words(by_code=by_code)
    before, embedded = model(torch.arange(12)), model.embed.weight.detach().clone()
    done = change_rows(model, CHANGE)
    check_carried(model, before)
    assert (model.head.weight is model.embed.weight) == by_code
    assert torch.equal(model.embed.weight[KEPT], embedded[FROM])
    assert list(done.parameters) == ["embed.weight", *([] if by_code else ["head.weight"]), "head.bias"]


def test_as_many_rows_in_another_order():
    model = Words()
    tie(model, SPECS["tied"])
    before = model(torch.arange(12))
    turned = [*range(1, 12), 0]
    done = change_rows(model, make_row_change(Origins(turned)))
    torch.testing.assert_close(model(torch.arange(12)), before[turned][:, turned])
    assert done.parameters == {"embed.weight": 0, "head.bias": 0}


def test_the_plan_is_that_of_a_model_built_so_and_tables_may_be_larger_than_vocabularies():
    model, small = Words(16), Words(10)
    tie(model, SPECS["tied"])
    change_rows(model, make_row_change(ORIGINS, "mean", rows=10))
    plan = get_plan(model)
    assert plan is not None and plan.graph == make_plan(small, SPECS["tied"]).graph
    torch.testing.assert_close(model.embed.weight[9], model.embed.weight[8])


def test_a_table_that_members_read_by_maps(tmp_path):
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.ModuleDict({"es": nn.Embedding(4, 3), "pt": nn.Embedding(3, 3)})
            self.head = nn.ModuleDict({"es": nn.Linear(3, 4, bias=False)})

    for name, rows in {"es": [0, 1, 2, 3], "pt": [0, 2, 4]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"map": rows, "rows": 5}))
    model = Two()
    rule = f"rows(vocab, map='{tmp_path}/{{lang}}.json')"
    tie(model, {"share": [f"embed.{{lang}}.weight = {rule}", f"head.{{lang}}.weight = {rule}"]})
    table = model.embed["es"].parametrizations.weight[0].vocab.detach().clone()
    for name, rows in {"es": [0, 1, 5, 3, 2], "pt": [0, 4]}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"map": rows, "rows": 6}))
    done = change_rows(
        model, make_row_change(Origins([0, 1, 2, 3, -1, 4], [[], [], [], [], [1, 2], []], 5), "subword_mean")
    )
    verify(model)
    assert torch.equal(model.embed["es"].weight[:4], table[[0, 1, 4, 3]])
    assert model.embed["es"].num_embeddings == model.head["es"].out_features == 5
    torch.testing.assert_close(model.embed["pt"].weight[1], (table[1] + table[2]) / 2)
    assert len(done.parameters) == 1


def test_a_bias_of_one_member_is_refused(tmp_path):
    model = Words(4)
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"map": [0, 2, 4, 1], "rows": 5}))
    tie(model, {"share": [f"embed.weight = rows(vocab, map='{file}')", f"head.weight = rows(vocab, map='{file}')"]})
    file.write_text(json.dumps({"map": [0, 2, 4, 1, 5], "rows": 6}))
    with pytest.raises(ApplyError, match=r"head.bias has a value for each id of one member vocabulary"):
        change_rows(model, make_row_change(Origins([0, 1, 2, 3, 4, -1], old_size=5)))
    assert model.embed.weight.shape == (4, 8)


def test_what_has_no_row_for_each_id_is_refused():
    model = Words()
    tie(model, {"share": ["embed.weight = hashed(T)"], "parameters": {"T": {"shape": [24]}}})
    before = model.embed.weight.detach().clone()
    with pytest.raises(ApplyError, match="would not stay what they were"):
        change_rows(model, CHANGE)
    assert torch.equal(model.embed.weight, before) and model.head.out_features == 12


def test_an_optimizer_that_holds_the_parameters():
    for model in (Words(), Words()):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with pytest.raises(ApplyError, match="change_rows came after the optimizer SGD"):
            change_rows(model, CHANGE)
        assert optimizer.param_groups[0]["params"][0].shape == (12, 8)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("W", "`W` is neither a shared parameter nor an embedding"),
        ("embeds", r"Nearest: embed\."),
    ],
)
def test_a_name_that_is_not_there(group, words):
    with pytest.raises(ApplyError, match=words):
        change_rows(Words(), CHANGE, group)


def test_two_embeddings_of_which_none_is_named():
    model = Words()
    del model.vocab_size
    with pytest.raises(ApplyError, match=r"not clear which embedding .*embed \[12\], places \[5\]"):
        change_rows(model, CHANGE)
    change_rows(model, CHANGE, "embed.weight")
    assert model.embed.num_embeddings == 9


def test_a_vocabulary_larger_than_the_table():
    model = copy.deepcopy(Words(7))
    with pytest.raises(ApplyError, match="A table of 7 rows is not of the old vocabulary, which has 12 ids"):
        change_rows(model, CHANGE)
    assert model.embed.num_embeddings == 7
