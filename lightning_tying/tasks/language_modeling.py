"""Language modeling: batches of token windows go in; losses, bits per byte and continued texts come out."""

# pyright: reportUnknownMemberType=false
# Lightning and torch are typed in part only.

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from lightning_tying.tasks.decoding import LanguageStep, decode_greedily
from lightning_tying.tasks.member_logits import MemberLogits, MemberStep
from lightning_tying.tasks.metrics import TextLikelihood, row_likelihood
from lightning_tying.tasks.network_source import Network
from lightning_tying.tasks.optimizers.optimization import LRSchedulerCallable, OptimizerCallable, default_optimizer
from lightning_tying.tasks.sharing_source import Sharing
from lightning_tying.tasks.text_task import TextTask
from lightning_tying.vocab.united_vocabulary import UnitedVocabulary


class LanguageModeling(TextTask):
    """Predicts the next token; `forward` maps tokens, int64 [B, T], to logits [B, T, V].

    Batches: `tokens` int64 [B, T + 1], `language` int64 [B], `bytes` int64 [B] (the bytes of UTF-8 that a row's
    targets stand for). `val/…` and `test/…` log `perplexity`, `bits_per_byte` and `bits_per_byte/‹language›`.

    Args:
        network: the language model, or a function that makes it; tied in the latter case by `configure_model`.
        sharing: the sharing spec: a path (in a run config relative to it), YAML text, or the mapping itself.
        optimizer: makes the optimizer. Default: AdamW with a learning rate of 0.001.
        lr_scheduler: makes the schedule, which is stepped after every optimizer step.
        init_from: a checkpoint or state dict of the untied network; loaded first, then solved into the spec.
        prompt_tokens: how many tokens of a row `predict` reads before it continues.
        new_tokens: how many tokens `predict` writes at most.
        member_logits: whether a text of a united vocabulary is predicted among its language's words alone; other
            vocabularies are not affected.

    Raises:
        SpecError: the spec is wrong or does not fit the network.
        ConfigError: a file is missing, or does not fit the network.
    """

    monitor: ClassVar[str] = "val/bits_per_byte"
    monitor_mode: ClassVar[Literal["min", "max"]] = "min"
    reads: ClassVar[tuple[str, ...]] = ("tokens",)

    def __init__(
        self,
        network: Network,
        sharing: Sharing | None = None,
        *,
        optimizer: OptimizerCallable = default_optimizer,
        lr_scheduler: LRSchedulerCallable | None = None,
        init_from: str | Path | None = None,
        prompt_tokens: int = 16,
        new_tokens: int = 32,
        member_logits: bool = True,
    ) -> None:
        super().__init__()
        self.member_logits = member_logits
        self.restrict: MemberLogits | None = None
        self.prompt_tokens = prompt_tokens
        self.new_tokens = new_tokens
        self.likelihoods = nn.ModuleDict()
        self.setup_task(network, sharing, optimizer, lr_scheduler, init_from)

    @override
    def make_metrics(self) -> None:
        """Make one likelihood each for validation and test, and the restriction to a language's words."""
        self._make_restriction()
        self.likelihoods = nn.ModuleDict({f"{stage}_text": TextLikelihood(self.languages) for stage in ("val", "test")})
        self.likelihoods.to(self.device)

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the checkpoint's vocabulary, and predict by it."""
        super().on_load_checkpoint(checkpoint)
        self._make_restriction()

    @override
    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean cross entropy of the next tokens, in nats."""
        tokens = batch["tokens"]
        logits = self._predict(batch)
        loss = functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), ignore_index=self.pad_id)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    @override
    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the validation's likelihood."""
        self._measure("val", batch)

    @override
    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the test's likelihood."""
        self._measure("test", batch)

    @override
    def on_validation_epoch_end(self) -> None:
        """Log the validation's values."""
        self._report("val")

    @override
    def on_test_epoch_end(self) -> None:
        """Log the test's values."""
        self._report("test")

    @override
    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> list[dict[str, str]]:
        """Continue the beginning of each row; returns its `language`, `prompt` and `continuation`."""
        vocabulary = self.require_vocabulary()
        real = int((batch["tokens"] != vocabulary.pad_id).sum(dim=1).min())
        prompts = batch["tokens"][:, : max(1, min(self.prompt_tokens, real))]
        found = decode_greedily(self._step(batch["language"]), prompts, self.new_tokens, vocabulary.eos_id)
        written = cast("list[list[int]]", prompts.tolist())
        languages = cast("list[int]", batch["language"].tolist())
        return [
            {
                "language": self.name_language(language) or str(language),
                "prompt": vocabulary.decode(prompt, self.name_language(language)),
                "continuation": vocabulary.decode(ids, self.name_language(language)),
            }
            for language, prompt, ids in zip(languages, written, found, strict=True)
        ]

    def generate(
        self, prompt: str = "", language: str | None = None, *, new_tokens: int = 64, temperature: float = 0.0
    ) -> str:
        """Continue a text.

        Args:
            prompt: the text so far.
            language: a code of the vocabulary, whose tag is put in front.
            new_tokens: the largest number of tokens to add.
            temperature: 0 for the most likely text; above, it is drawn with torch's generator.

        Raises:
            ConfigError: there is no vocabulary, or it does not know the language.
        """
        vocabulary = self.require_vocabulary()
        tag = [] if language is None else [vocabulary.tag_id(language)]
        ids = [*tag, *vocabulary.encode_many([prompt], language)[0]] or [vocabulary.eos_id]
        was_training = self.training
        self.eval()
        tokens = torch.tensor([ids], device=self.device)
        place = torch.tensor([self.languages.index(language)]) if language in self.languages else None
        found = decode_greedily(self._step(place), tokens, new_tokens, vocabulary.eos_id, temperature=temperature)
        self.train(was_training)
        return vocabulary.decode(found[0], language)

    def _measure(self, stage: str, batch: dict[str, Tensor]) -> None:
        targets = batch["tokens"][:, 1:]
        likelihood, count = row_likelihood(self._predict(batch), targets, self.pad_id)
        if self.restrict is not None:
            prices = self.restrict.price(targets, batch["language"])
            likelihood = likelihood + prices.masked_fill(targets == self.pad_id, 0.0).sum(dim=1)
        self._likelihood(stage).update(likelihood, count, batch["bytes"], batch.get("language"))

    def _make_restriction(self) -> None:
        self.restrict = None
        if self.member_logits and isinstance(self.vocabulary, UnitedVocabulary) and self.languages:
            self.restrict = MemberLogits(self.vocabulary, self.languages).to(self.device)

    def _predict(self, batch: dict[str, Tensor]) -> Tensor:
        """Logits of the next tokens, −∞ for words of other languages."""
        logits = self.network(batch["tokens"][:, :-1])
        return logits if self.restrict is None else self.restrict(logits, batch["language"])

    def _step(self, language: Tensor | None) -> LanguageStep | MemberStep:
        step = LanguageStep(self.network)
        if self.restrict is None or language is None:
            return step
        return MemberStep(step, self.restrict, language.to(self.device))

    def _report(self, stage: str) -> None:
        likelihood = self._likelihood(stage)
        self.log_values(stage, likelihood.compute())
        likelihood.reset()

    def _likelihood(self, stage: str) -> Any:
        return self.likelihoods[f"{stage}_text"]
