"""What a token costs by shapes is what a forward pass and a cache show."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lightning_tying.api import cache_values, tie
from lightning_tying.models import DecoderLM, EncoderDecoder, HuggingFace
from lightning_tying.reports.reckoning.count_flops import count_flops
from lightning_tying.reports.reckoning.reckon_run import RunUse, reckon_run

SPEC = {"share": [{"tie": ["embed.weight", "head.weight"]}, "layers.{l}.{name*} = block[name, l % 2]"]}
DECODES = RunUse(decodes=True)


def make_decoder() -> DecoderLM:
    return DecoderLM(50, 16, 4, 4, kv_heads=2)


def cache_size(tensors: list[torch.Tensor]) -> int:
    return sum(each.numel() * each.itemsize for each in tensors)


def test_the_cache_of_a_decoder_is_not_saved() -> None:
    model = make_decoder()
    before = reckon_run(model, DECODES).per_token.cache_bytes
    tie(model, SPEC)
    cache = model.new_cache()
    with torch.no_grad():
        model(torch.zeros(1, 3, dtype=torch.long), cache)
    kept = [each for entry in cache.tokens for each in entry.read() or ()]
    run = reckon_run(model, DECODES)
    assert 3 * (run.per_token.cache_bytes or 0) == cache_size(kept) and run.per_token.cache_bytes == before
    assert "Nor does it save the cache" in str(run)


def test_the_cache_of_an_encoder_decoder_counts_the_text_that_is_written() -> None:
    model = EncoderDecoder(50, 16, 2, 2)
    cache: Any = model.new_cache()
    ids = torch.zeros(1, 3, dtype=torch.long)
    with torch.no_grad():
        model.decode(ids, model.encode(ids), None, cache)
    kept = [each for entry in cache.tokens for each in entry.read() or ()]
    assert 3 * (reckon_run(model, DECODES).per_token.cache_bytes or 0) == cache_size(kept) > 0


def test_the_cache_of_transformers() -> None:
    options = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    model = HuggingFace("llama", vocab_size=50, options={**options, "intermediate_size": 32})
    cache = model.new_cache()
    with torch.no_grad():
        model(torch.ones(1, 3, dtype=torch.long), cache=cache)
    kept = [each for layer in cache.past.layers for each in (layer.keys, layer.values)]
    assert 3 * (reckon_run(model, DECODES).per_token.cache_bytes or 0) == cache_size(kept) > 0


def test_half_precision_halves_the_cache() -> None:
    half = reckon_run(make_decoder(), RunUse(decodes=True, cache_itemsize=2)).per_token.cache_bytes
    assert half is not None and 2 * half == reckon_run(make_decoder(), DECODES).per_token.cache_bytes


def test_operations_are_not_saved_by_aliases() -> None:
    model = make_decoder()
    before = reckon_run(model).per_token
    tie(model, SPEC)
    run = reckon_run(model)
    assert run.per_token == before and run.per_token.flops_net == run.per_token.flops_gross
    assert run.net.parameters < run.gross.parameters
    assert any(row[0].startswith("forward FLOPs") and row[-1] == "not saved" for row in run.tables()[-1].rows)


def test_two_for_each_matrix_cell_is_what_the_counter_counts_but_for_attention() -> None:
    model = make_decoder()
    tie(model, SPEC)
    counted = count_flops(model, torch.zeros(1, 1, dtype=torch.long))
    assert counted is not None
    gross, net, unit = counted
    attention = 4 * 2 * 2 * 16  # at one token: for each layer two products of 16 channels with one key or value
    assert gross == net and unit == "token"
    assert gross - (reckon_run(model).per_token.flops_gross or 0) in (0, attention)


def test_computing_derived_values_costs_operations() -> None:
    model = nn.Sequential(*[nn.Linear(8, 8, bias=False) for _ in range(3)])
    inputs = torch.randn(5, 8)
    assert count_flops(model, inputs) == (2 * 64 * 3, 2 * 64 * 3, "sample")
    tie(model, {"share": ["{l}.weight = W + low_rank(2)"]})
    counted = count_flops(model, inputs)
    assert counted == (2 * 64 * 3, (5 * 2 * 64 * 3 + 3 * 2 * 8 * 8 * 2) // 5, "sample")


def test_counting_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
    model[1].eval()
    before, state = {name: each.clone() for name, each in model.state_dict().items()}, torch.get_rng_state()
    count_flops(model, torch.randn(3, 4, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), state)
    assert [part.training for part in model] == [True, False, True]
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert all(each.grad is None for each in model.parameters())


def test_what_the_counter_does_not_know_is_not_told() -> None:
    assert count_flops(nn.LSTM(4, 4), torch.zeros(2, 1, 4)) is None
    assert count_flops(nn.ReLU(), torch.zeros(2)) is None
    assert reckon_run(nn.Conv2d(2, 2, 3)).per_token.flops_net is None


def test_nothing_is_left_in_the_cache_of_values() -> None:
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tie(model, {"share": ["{l}.weight = W * 2"]})
    inputs = torch.randn(2, 4)
    count_flops(model, inputs)
    with torch.no_grad():
        next(model.parameters()).zero_()
        assert not model(inputs).any()
        with cache_values(model):
            assert not model(inputs).any()
