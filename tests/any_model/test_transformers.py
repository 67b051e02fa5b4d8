"""Networks of transformers, small and from configs: ties of a spec beside their own, saved, loaded and generating."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

transformers = pytest.importorskip("transformers")

from lightning_tying import cache_values, materialize, tie, tie_class, untie, verify  # noqa: E402
from lightning_tying.errors import ApplyError  # noqa: E402

SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 96}


def llama(tied: bool = False) -> Any:
    config = transformers.LlamaConfig(**SMALL, num_key_value_heads=2, tie_word_embeddings=tied)
    return transformers.LlamaForCausalLM(config)


def gpt2() -> Any:
    config = transformers.GPT2Config(n_embd=32, n_layer=4, n_head=4, vocab_size=96, n_positions=64)
    return transformers.GPT2LMHeadModel(config)


def bert() -> Any:
    return transformers.BertForMaskedLM(transformers.BertConfig(**SMALL))


def t5() -> Any:
    config = transformers.T5Config(
        d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4, vocab_size=96, decoder_start_token_id=0
    )
    return transformers.T5ForConditionalGeneration(config)


SPECS: dict[str, tuple[Callable[[], Any], list[Any]]] = {
    "llama": (
        llama,
        [
            "model.layers.{l}.mlp.{m}.weight = mlp[m, l // 2]",
            {"sites": "model.layers.{l}.self_attn.{m}.weight", "equals": "W[m, l % 2] + low_rank(4)"},
        ],
    ),
    "gpt2": (
        gpt2,
        [
            "transformer.h.{l}.attn.c_attn.weight = concat(QK[l], QK[l], V[l], dim=1)",
            "transformer.h.{l}.mlp.{name*} = mlp[name, l // 2]",
        ],
    ),
    "bert": (
        bert,
        [
            {
                "sites": "bert.encoder.layer.{l}.{name*}",
                "equals": "block[name]",
                "except": "bert.encoder.layer.*.attention.self.query.weight",
            },
            "bert.encoder.layer.{l}.attention.self.query.weight = t(Q)",
        ],
    ),
    "t5": (
        t5,
        [
            "{s:encoder|decoder}.block.{l}.layer.0.SelfAttention.{m:q|k|v|o}.weight = A[m]",
            "{s:encoder|decoder}.block.{l}.layer.{i}.DenseReluDense.{m}.weight = mix(F[m], 2)",
        ],
    ),
}


def inputs_for(name: str) -> dict[str, torch.Tensor]:
    tokens = torch.arange(12).reshape(2, 6) % 90 + 1
    return {"input_ids": tokens, "labels": tokens} if name == "t5" else {"input_ids": tokens}


@pytest.fixture(params=SPECS)
def tied(request: pytest.FixtureRequest) -> tuple[str, Any]:
    make, share = SPECS[request.param]
    torch.manual_seed(0)
    model = make().eval()
    tie(model, {"share": share})
    return request.param, model


def logits(model: nn.Module, name: str) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs_for(name)).logits


def plain_copy(model: nn.Module) -> nn.Module:
    plain = materialize(copy.deepcopy(model))
    untie(plain)
    return plain


def test_a_tied_network_computes_what_its_values_say(tied: tuple[str, Any]) -> None:
    name, model = tied

    torch.testing.assert_close(logits(model, name), logits(plain_copy(model), name), rtol=0, atol=1e-5)
    model(**inputs_for(name)).logits.square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)


def test_the_networks_own_ties_and_initializers_leave_ours_alone(tied: tuple[str, Any]) -> None:
    name, model = tied
    before, unique = logits(model, name), sum(p.numel() for p in model.parameters())

    model.tie_weights()
    for module in model.modules():
        model._init_weights(module) if isinstance(module, nn.LayerNorm) else None
    verify(model)

    assert sum(p.numel() for p in model.parameters()) == unique
    torch.testing.assert_close(logits(model, name), before, rtol=0, atol=1e-6)


def test_initializing_a_derived_site_never_writes_a_shared_parameter(tied: tuple[str, Any]) -> None:
    _, model = tied
    shared = {name: p.detach().clone() for name, p in model.named_parameters() if "parametrizations" in name}

    for module in model.modules():
        model._init_weights(module)

    assert shared
    for name, value in shared.items():
        assert torch.equal(model.get_parameter(name), value), name


def test_saved_and_loaded_by_the_stock_class(tied: tuple[str, Any], tmp_path: Path) -> None:
    name, model = tied
    before = logits(model, name)

    model.save_pretrained(tmp_path)
    loaded = type(model).__mro__[1].from_pretrained(tmp_path) if "Tied" in type(model).__name__ else None
    loaded = loaded or SPECS[name][0]().__class__.from_pretrained(tmp_path)

    torch.testing.assert_close(logits(loaded.eval(), name), before, rtol=0, atol=1e-5)


def test_saved_once_and_loaded_tied_by_a_class_that_ties(tied: tuple[str, Any], tmp_path: Path) -> None:
    name, model = tied
    make, share = SPECS[name]
    kind = tie_class(type(make()), {"share": share})
    torch.manual_seed(0)
    first = kind(model.config).eval()
    before = logits(first, name)

    first.save_pretrained(tmp_path)
    loaded, report = kind.from_pretrained(tmp_path, output_loading_info=True)

    stored = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    unique = sum(p.numel() * p.element_size() for p in first.parameters())
    assert stored < 1.01 * unique + 100_000
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    verify(loaded)
    torch.testing.assert_close(logits(loaded.eval(), name), before, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["llama", "gpt2", "t5"])
def test_generation_with_and_without_the_cache_of_keys_and_values(name: str) -> None:
    make, share = SPECS[name]
    torch.manual_seed(0)
    model = make().eval()
    tie(model, {"share": share})
    tokens = torch.tensor([[5, 6, 7]])
    options = {"max_new_tokens": 8, "do_sample": False, "pad_token_id": 0}

    cached = model.generate(tokens, use_cache=True, **options)
    plain = model.generate(tokens, use_cache=False, **options)
    with cache_values(model):
        once = model.generate(tokens, use_cache=True, **options)

    assert torch.equal(cached, plain)
    assert torch.equal(cached, once)


def test_a_tie_of_their_own_is_part_of_the_group() -> None:
    model = llama(tied=True)
    plan = tie(model, {"share": ["model.embed_tokens.weight = E", "model.layers.{l}.mlp.up_proj.weight = U"]})

    group = next(group for group in plan.graph.groups if str(group.name) == "E")
    assert set(group.sites) == {"model.embed_tokens.weight", "lm_head.weight"}
    model.tie_weights()
    model.resize_token_embeddings(100)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert model.model.layers[3].mlp.up_proj.weight is model.model.layers[0].mlp.up_proj.weight


def test_merging_adapters_of_peft_into_tied_weights_is_refused() -> None:
    peft = pytest.importorskip("peft")
    model = llama()
    tie(model, {"share": SPECS["llama"][1]})
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["up_proj", "q_proj"]))
    tokens = torch.tensor([[1, 2, 3]])

    adapted(input_ids=tokens).logits.sum().backward()
    verify(model)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with pytest.raises(ApplyError, match="tied"):
        adapted.merge_and_unload()

    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_merging_is_refused_too_where_the_adapters_came_first() -> None:
    peft = pytest.importorskip("peft")
    adapted = peft.get_peft_model(llama(), peft.LoraConfig(r=2, target_modules=["up_proj"]))
    tie(adapted.base_model.model, {"share": ["model.layers.{l}.mlp.up_proj.base_layer.weight = U"]})

    with pytest.raises(ApplyError, match="cannot be merged"):
        adapted.merge_and_unload()
