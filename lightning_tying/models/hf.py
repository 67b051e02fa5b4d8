"""The name of a `transformers` configuration in; that network, with the forward of this package's own networks, out.

`transformers` is the extra `hf` and is imported when a network is built, not before. Nothing is downloaded.
"""

from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, final

from torch import Tensor, nn

from lightning_tying.models.arguments import check_at_least_one, check_choice

Task = Literal["language_modeling", "translation", "classification"]
_CLASSES: dict[str, str] = {
    "language_modeling": "AutoModelForCausalLM",
    "translation": "AutoModelForSeq2SeqLM",
    "classification": "AutoModelForSequenceClassification",
}


@final
class TransformersCache:
    """A cache of `transformers` as a `DecodingCache`.

    Args:
        past: A `transformers.Cache`.
    """

    def __init__(self, past: Any) -> None:
        self.past = past

    @property
    def length(self) -> int:
        """How many tokens it has seen."""
        return int(self.past.get_seq_length())

    def reorder(self, rows: Tensor) -> None:
        """Keep these rows of the batch, in this order."""
        self.past.reorder_cache(rows)


@final
class HuggingFace(nn.Module):
    """A network of `transformers`, built from a configuration with fresh weights.

    Its FQNs are those of `transformers` below `model.`, so a spec written for the bare network says `root: model`.
    Ties that the configuration makes (`tie_word_embeddings`) are there from the start.

    Args:
        config: A model type, such as `"llama"` or `"marian"`, or a folder with a `config.json`.
        task: `"language_modeling"`, `"translation"` or `"classification"`.
        vocab_size: Number of token ids. Default: the configuration's.
        classes: Number of classes, for `task="classification"`.
        pad_id: The id that fills short rows.
        options: Fields of the configuration by name, such as `{"num_hidden_layers": 4}`.

    Raises:
        ModuleNotFoundError: `transformers` is not installed.
        ValueError: There is no such model type, no network of that type for the task, or a field does not fit.
    """

    def __init__(
        self,
        config: str,
        task: Task = "language_modeling",
        *,
        vocab_size: int | None = None,
        classes: int | None = None,
        pad_id: int = 0,
        options: dict[str, Any] | None = None,
    ) -> None:
        check_choice("HuggingFace", "task", task, _CLASSES)
        fields: dict[str, Any] = {"pad_token_id": pad_id, **(options or {})}
        if vocab_size is not None:
            check_at_least_one("HuggingFace", vocab_size=vocab_size)
            fields["vocab_size"] = vocab_size
        if task == "classification":
            if classes is None:
                raise ValueError("HuggingFace: a classification needs the number of its classes. Write classes: 2.")
            check_at_least_one("HuggingFace", classes=classes)
            fields["num_labels"] = classes
        transformers = _import_transformers()
        super().__init__()
        self.task = task
        self.pad_id = pad_id
        self.model: Any = _build(transformers, config, task, fields)

    def new_cache(self) -> TransformersCache:
        """An empty cache for one batch of texts to decode."""
        transformers = _import_transformers()
        past = transformers.DynamicCache()
        if self.task == "translation":
            past = transformers.EncoderDecoderCache(past, transformers.DynamicCache())
        return TransformersCache(past)

    def forward(self, tokens: Tensor, target: Tensor | None = None, cache: TransformersCache | None = None) -> Tensor:
        """Logits, as the package's own network for the same task gives them.

        Args:
            tokens: Ids, int64 [B, T], padded with `pad_id` at the end; for translation the source.
            target: The target, int64 [B, T′]: for translation only.
            cache: What `new_cache` gave: for language modeling only (for translation see `decode`).

        Returns:
            Logits [B, T, vocab_size], for translation [B, T′, vocab_size], for classification [B, classes].

        Raises:
            ValueError: `target` is missing for translation.
        """
        if self.task == "translation":
            if target is None:
                raise ValueError("HuggingFace: a network for translation takes source and target. Pass both.")
            return self.decode(target, self.encode(tokens), tokens != self.pad_id)
        if self.task == "classification":
            return self.model(input_ids=tokens, attention_mask=(tokens != self.pad_id).long()).logits
        past = None if cache is None else cache.past
        return self.model(input_ids=tokens, past_key_values=past, use_cache=cache is not None).logits

    def encode(self, source: Tensor) -> Tensor:
        """Ids, int64 [B, S] → memory [B, S, width]; for translation only."""
        encoder = self.model.get_encoder()
        return encoder(input_ids=source, attention_mask=(source != self.pad_id).long()).last_hidden_state

    def decode(
        self,
        target: Tensor,
        memory: Tensor,
        source_mask: Tensor | None = None,
        cache: TransformersCache | None = None,
    ) -> Tensor:
        """Logits of the token after each target token; arguments as `EncoderDecoder.decode`."""
        return self.model(
            encoder_outputs=(memory,),
            attention_mask=None if source_mask is None else source_mask.long(),
            decoder_input_ids=target,
            past_key_values=None if cache is None else cache.past,
            use_cache=cache is not None,
        ).logits


def _import_transformers() -> Any:
    try:
        return import_module("transformers")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "HuggingFace: the package `transformers` is missing. Install it with pip install 'lightning-tying[hf]'.",
            name="transformers",
        ) from error


def _build(transformers: Any, config: str, task: Task, fields: dict[str, Any]) -> nn.Module:
    try:
        filled = _read_config(transformers, config, fields)
        return getattr(transformers, _CLASSES[task]).from_config(filled)
    except Exception as error:  # transformers and its validators raise many types; the reason is kept
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"HuggingFace: no network for {task} from {config!r} with {fields}: {reason}") from error


def _read_config(transformers: Any, config: str, fields: dict[str, Any]) -> Any:
    if (Path(config) / "config.json").is_file():
        return transformers.AutoConfig.from_pretrained(config, local_files_only=True, **fields)
    known: Any = import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
    if config not in known:
        near = get_close_matches(config, list(known), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"`config` is neither a model type of transformers nor a folder with a config.json.{hint}")
    return transformers.AutoConfig.for_model(config, **fields)
