"""A datamodule in; the figures of its vocabulary, or a sentence that says why there are none, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from lightning_tying.reports.vocabulary.figures import VocabularyFigures
from lightning_tying.reports.vocabulary.measure import measure_vocabulary
from lightning_tying.vocab.measures.encoding import Messages

SPLITS = ("train", "val", "test")
HELD_OUT = "val"


def read_figures(data: object, reference: str | None, most_texts: int) -> VocabularyFigures | str:
    """Measure the vocabulary of a datamodule with its own texts.

    Args:
        data: any; one with a `vocabulary` and `parallel_text(split)`, as those of `lightning_tying.data`, is measured.
        reference: the language that premiums compare with.
        most_texts: of each language and split.

    Raises:
        ConfigError: the reference has no parallel text.
    """
    module = cast("Any", data)
    vocabulary = getattr(module, "vocabulary", None)
    if vocabulary is None:
        return (
            "VocabularyReport: the data have no vocabulary, so there is nothing to report. Use Catalogs or TextFiles, "
            "or give your datamodule a `vocabulary`."
        )
    read = getattr(module, "parallel_text", None)
    if not callable(read):
        return (
            f"VocabularyReport: {type(data).__name__} has no `parallel_text(split)`, which gives language -> key -> "
            "text, so there is no text to measure its vocabulary with."
        )
    parts = {split: _limit(cast("Messages", read(split)), most_texts) for split in SPLITS}
    held_out = parts[HELD_OUT] if any(parts[HELD_OUT].values()) else parts["train"]
    texts = {language: list(messages.values()) for language, messages in held_out.items()}
    return measure_vocabulary(vocabulary, texts, held_out, corpus=_join(parts), reference=reference)


def _limit(messages: Messages, most: int) -> dict[str, dict[str, str]]:
    """At most so many messages of each language, the same keys of all as far as they have them."""
    keys = list(dict.fromkeys(key for texts in messages.values() for key in texts))
    step = max(1, -(-max((len(texts) for texts in messages.values()), default=1) // most))
    kept = set(keys[::step])
    return {
        language: {key: text for key, text in texts.items() if step == 1 or key in kept}
        for language, texts in messages.items()
    }


def _join(parts: Mapping[str, Messages]) -> dict[str, dict[str, str]]:
    joined: dict[str, dict[str, str]] = {}
    for messages in parts.values():
        for language, texts in messages.items():
            joined.setdefault(language, {}).update(texts)
    return joined
