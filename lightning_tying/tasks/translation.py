"""Translation: batches of sources and targets go in; losses, chrF, BLEU and translated texts come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.aggregation import MeanMetric
from torchmetrics.text import CHRFScore, SacreBLEUScore
from typing_extensions import override

from lightning_tying.errors import ConfigError
from lightning_tying.tasks.decoding import TranslationStep, decode_greedily, decode_with_beams
from lightning_tying.tasks.network_source import Network
from lightning_tying.tasks.optimizers.optimization import LRSchedulerCallable, OptimizerCallable, default_optimizer
from lightning_tying.tasks.sharing_source import Sharing
from lightning_tying.tasks.task import check_part
from lightning_tying.tasks.text_task import TextTask
from lightning_tying.vocab.vocabulary import Vocabulary


class Translation(TextTask):
    """Translates; `forward` maps sources [B, S] and target beginnings [B, T], int64, to logits [B, T, V].

    Batches: `source` int64 [B, S], `target` int64 [B, T] (the tag of the target language first, the end of text last),
    `language` int64 [B] (of the target), `reference` (the target texts). Logs `loss` (nats per token), `chrf` and
    `bleu` (0 to 100) for val and test.

    Args:
        network: the encoder–decoder, or a function that makes it; tied in the latter case by `configure_model`.
        sharing: the sharing spec: a path (in a run config relative to it), YAML text, or the mapping itself.
        optimizer: makes the optimizer. Default: AdamW with a learning rate of 0.001.
        lr_scheduler: makes the schedule, which is stepped after every optimizer step.
        init_from: a checkpoint or state dict of the untied network; loaded first, then solved into the spec.
        label_smoothing: what part of a target's probability all tokens share (Szegedy et al. 2016).
        beams: hypotheses that are kept while decoding; 1 decodes greedily.
        length_penalty: the power of the length that divides a hypothesis's log-probability.
        length_factor: a translation has at most `length_factor` · source length + 10 tokens.
        decoded_batches: how many validation batches are decoded for chrF and BLEU; the test decodes all.

    Raises:
        SpecError: the spec is wrong or does not fit the network.
        ConfigError: a file is missing, or does not fit the network.
    """

    monitor: ClassVar[str] = "val/loss"
    monitor_mode: ClassVar[Literal["min", "max"]] = "min"
    reads: ClassVar[tuple[str, ...]] = ("source", "target")

    def __init__(
        self,
        network: Network,
        sharing: Sharing | None = None,
        *,
        optimizer: OptimizerCallable = default_optimizer,
        lr_scheduler: LRSchedulerCallable | None = None,
        init_from: str | Path | None = None,
        label_smoothing: float = 0.1,
        beams: int = 1,
        length_penalty: float = 1.0,
        length_factor: float = 2.0,
        decoded_batches: int = 2,
    ) -> None:
        super().__init__()
        if beams < 1:
            raise ConfigError(f"Translation: `beams` is 1 or more, not {beams}.")
        check_part("Translation: `label_smoothing`", label_smoothing)
        self.label_smoothing = label_smoothing
        self.beams = beams
        self.length_penalty = length_penalty
        self.length_factor = length_factor
        self.decoded_batches = decoded_batches
        self.scores = nn.ModuleDict({f"{stage}_{name}": make() for stage in ("val", "test") for name, make in SCORES})
        self.setup_task(network, sharing, optimizer, lr_scheduler, init_from)

    @override
    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Mean smoothed cross entropy of the target tokens, in nats."""
        loss = self._loss(batch, self.label_smoothing)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["source"]))
        return loss

    @override
    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure the loss, and the translations of the first batches."""
        self._measure("val", batch, decode=batch_idx < self.decoded_batches)

    @override
    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Measure the loss and the translations."""
        self._measure("test", batch, decode=True)

    @override
    def on_validation_epoch_end(self) -> None:
        """Log the validation's scores."""
        self._report("val")

    @override
    def on_test_epoch_end(self) -> None:
        """Log the test's scores."""
        self._report("test")

    @override
    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> list[dict[str, str]]:
        """Translate each source; returns `source`, `translation` and `reference`, where the batch has texts."""
        texts = self._decode_batch(batch)
        sources: list[str] = batch.get("source_text") or []
        references: list[str] = batch.get("reference") or []
        return [
            {
                **({"source": sources[row]} if row < len(sources) else {}),
                "translation": text,
                **({"reference": references[row]} if row < len(references) else {}),
            }
            for row, text in enumerate(texts)
        ]

    def translate(self, texts: list[str], language: str, source_language: str | None = None) -> list[str]:
        """Translate texts.

        Args:
            texts: sources, in any language that the network was trained to read.
            language: a code of the vocabulary, the language to write.
            source_language: the language of the texts; needed where languages have vocabularies of their own, unless
                there are two.

        Raises:
            ConfigError: there is no vocabulary, or it does not know a language.
        """
        vocabulary = self.require_vocabulary()
        tag = vocabulary.tag_id(language)
        reader = source_language or _other_of_two(vocabulary, language)
        rows = [[*ids, vocabulary.eos_id] for ids in vocabulary.encode_many(texts, reader)]
        if not rows:
            return []
        source = torch.full((len(rows), max(len(row) for row in rows)), vocabulary.pad_id, device=self.device)
        for place, row in enumerate(rows):
            source[place, : len(row)] = torch.tensor(row)
        was_training = self.training
        self.eval()
        first = torch.full((len(rows), 1), tag, device=self.device)
        found = self.decode(source, first, [language] * len(rows))
        self.train(was_training)
        return found

    def decode(self, source: Tensor, first: Tensor, languages: Sequence[str | None] = ()) -> list[str]:
        """Translate a batch of ids.

        Args:
            source: int64 [B, S], padded.
            first: the beginning of each target, int64 [B, T]: the tag of the target language.
            languages: the target's language of each row; needed where languages have vocabularies of their own.
        """
        vocabulary = self.require_vocabulary()
        most = int(source.shape[1] * self.length_factor) + 10
        with torch.no_grad():
            step = TranslationStep(self.network, source, vocabulary.pad_id, self.beams)
            if self.beams == 1:
                found = decode_greedily(step, first, most, vocabulary.eos_id)
            else:
                found = decode_with_beams(
                    step, first, most, vocabulary.eos_id, beams=self.beams, length_penalty=self.length_penalty
                )
        readers = languages or [None] * len(found)
        return [vocabulary.decode(ids, language) for ids, language in zip(found, readers, strict=True)]

    def _decode_batch(self, batch: dict[str, Any]) -> list[str]:
        indices = batch.get("language")
        languages = [] if indices is None else [self.name_language(index) for index in indices.tolist()]
        return self.decode(batch["source"], batch["target"][:, :1], languages)

    def _loss(self, batch: dict[str, Any], smoothing: float) -> Tensor:
        target = batch["target"]
        logits = self.network(batch["source"], target[:, :-1])
        return functional.cross_entropy(
            logits.flatten(0, 1).float(),
            target[:, 1:].flatten(),
            ignore_index=self.pad_id,
            label_smoothing=smoothing,
        )

    def _measure(self, stage: str, batch: dict[str, Any], *, decode: bool) -> None:
        count = int((batch["target"][:, 1:] != self.pad_id).sum())
        self._score(stage, "loss").update(self._loss(batch, 0.0), count)
        if decode and batch.get("reference"):
            texts = self._decode_batch(batch)
            references = [[reference] for reference in cast("list[str]", batch["reference"])]
            self._score(stage, "chrf").update(texts, references)
            self._score(stage, "bleu").update(texts, references)

    def _report(self, stage: str) -> None:
        values: dict[str, float] = {}
        for name, factor in (("loss", 1.0), ("chrf", 100.0), ("bleu", 100.0)):
            score = self._score(stage, name)
            if score.update_called:
                values[name] = float(score.compute()) * factor
            score.reset()
        self.log_values(stage, values)

    def _score(self, stage: str, name: str) -> Any:
        return self.scores[f"{stage}_{name}"]


def _other_of_two(vocabulary: Vocabulary, language: str) -> str | None:
    others = [other for other in vocabulary.language_ids if other != language]
    return others[0] if len(others) == 1 else None


SCORES: tuple[tuple[str, Callable[[], nn.Module]], ...] = (
    ("loss", MeanMetric),
    ("chrf", CHRFScore),
    ("bleu", SacreBLEUScore),
)
