"""Networks of transformers by the name of their configuration, and the message where transformers is absent."""

import sys

import pytest
import torch

from lightning_tying.models import HuggingFace

LLAMA = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
BERT = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
BART = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
}


def test_without_transformers_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'lightning-tying\[hf\]'"):
        HuggingFace("llama")


def test_an_unknown_task_is_refused_first(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match="Did you mean 'classification'"):
        HuggingFace("llama", task="clasification")


class TestWithTransformers:
    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch):
        pytest.importorskip("transformers", reason="the extra hf is not installed")
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        torch.manual_seed(0)

    @torch.no_grad()
    def test_language_model_with_cache(self):
        network = HuggingFace("llama", vocab_size=50, options=LLAMA).eval()
        tokens, cache = torch.randint(1, 50, (2, 6)), network.new_cache()
        parts = [network(part, cache=cache) for part in tokens.split(2, dim=1)]
        logits = network(tokens)
        assert logits.shape == (2, 6, 50)
        assert cache.length == 6
        torch.testing.assert_close(torch.cat(parts, dim=1), logits, rtol=1e-4, atol=1e-5)

    @torch.no_grad()
    def test_translation_with_cache(self):
        network = HuggingFace("bart", "translation", vocab_size=50, options=BART).eval()
        source, target = torch.tensor([[5, 6, 7], [8, 9, 0]]), torch.randint(1, 50, (2, 4))
        memory, cache = network.encode(source), network.new_cache()
        parts = [network.decode(part, memory, source != 0, cache) for part in target.split(1, dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), network(source, target), rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match="source and target"):
            network(source)

    @torch.no_grad()
    def test_classification(self):
        network = HuggingFace("bert", "classification", vocab_size=50, classes=3, options=BERT).eval()
        assert network(torch.tensor([[5, 6, 7], [8, 9, 0]])).shape == (2, 3)

    def test_meta(self):
        with torch.device("meta"):
            network = HuggingFace("llama", vocab_size=50, options={**LLAMA, "tie_word_embeddings": False})
        names = dict(network.named_parameters())
        assert names["model.lm_head.weight"].is_meta
        assert "model.model.layers.1.mlp.gate_proj.weight" in names

    def test_a_folder_with_a_configuration(self, tmp_path):
        from transformers import LlamaConfig

        LlamaConfig(vocab_size=70, **LLAMA).save_pretrained(tmp_path)
        assert HuggingFace(str(tmp_path)).model.config.vocab_size == 70

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"config": "lama"}, "nor a folder with a config.json. Did you mean 'llama'?"),
            ({"config": "bert", "task": "translation"}, "no network for translation from 'bert'"),
            ({"config": "llama", "options": {"hidden_size": "wide"}}, "hidden_size"),
            ({"config": "llama", "vocab_size": 0}, "`vocab_size` is 0"),
            ({"config": "bert", "task": "classification"}, "needs the number of its classes"),
        ],
    )
    def test_refused(self, arguments, message):
        with pytest.raises(ValueError) as caught:
            HuggingFace(**arguments)
        assert message in str(caught.value)
