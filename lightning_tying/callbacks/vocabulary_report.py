"""`VocabularyReport`: a trainer and its data go in; logged values and the files `vocabulary_report.*` come out."""

# pyright: reportUnknownMemberType=false
# Lightning's loggers are typed in part only.

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.rank_zero import rank_zero_warn
from typing_extensions import override

from lightning_tying.callbacks.savings.loggers import log_text
from lightning_tying.callbacks.vocabulary.log import list_values
from lightning_tying.callbacks.vocabulary.read_data import read_figures
from lightning_tying.errors import ConfigError
from lightning_tying.reports.page import write_page
from lightning_tying.reports.vocabulary.figures import VocabularyFigures
from lightning_tying.reports.vocabulary.render import to_json, to_markdown

NAME = "vocabulary_report"
BITS = "bits_per_byte/"


class VocabularyReport(Callback):
    """Shows what the data's vocabulary costs each language, once, when training starts.

    Fertility, premium, bytes and characters for each token, whole words, Rényi efficiency, what is lost, and what the
    languages share, measured on the validation split; rows that no text uses and false friends, on all text.
    `vocabulary/…` values for whichever loggers there are, the report as text where they show texts;
    `vocabulary_report.json`, `.md` and `.html` beside the checkpoints. Bits per byte by language, the only loss that
    compares models of different vocabularies, are added after the last validation and after a test, where the task
    measures them. Nothing is written under `fast_dev_run`. It changes nothing that is trained.

    Args:
        folder: where the files are written; None for the folder of the checkpoints, without checkpoints the trainer's
            `default_root_dir`.
        reference: the language that premiums compare with; None for English, or else the first.
        most_texts: of each language and split that are measured, evenly spaced.

    Raises:
        ConfigError: `most_texts` is not positive; at fit start, the reference has no parallel text.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        reference: str | None = None,
        most_texts: int = 5000,
    ) -> None:
        if most_texts < 1:
            raise ConfigError(f"VocabularyReport: most_texts is {most_texts}; it must be at least 1.")
        self.folder = None if folder is None else str(folder)
        self.reference = reference
        self.most_texts = most_texts
        self.figures: VocabularyFigures | None = None  # on the first process alone

    @property
    @override
    def state_key(self) -> str:
        """Tells this callback's state from that of another one in the same trainer."""
        return self._generate_state_key(folder=self.folder, reference=self.reference)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure and report, on the first process alone."""
        self.figures = None
        if self._measure(trainer, loud=True):
            self._report(trainer)

    @override
    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the bits per byte of the last validation."""
        self._add_bits(trainer, "val")

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the bits per byte of the test."""
        if self.figures is not None or self._measure(trainer, loud=False):
            self._add_bits(trainer, "test")

    def _measure(self, trainer: Trainer, *, loud: bool) -> bool:
        if not trainer.is_global_zero:
            return False
        found = read_figures(getattr(trainer, "datamodule", None), self.reference, self.most_texts)
        if isinstance(found, VocabularyFigures):
            self.figures = found
        elif loud:
            rank_zero_warn(found)
        return self.figures is not None

    def _add_bits(self, trainer: Trainer, stage: str) -> None:
        prefix = f"{stage}/{BITS}"
        known = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith(prefix)}
        if self.figures is None or not known:
            return
        self.figures = self.figures.with_bits({name.removeprefix(prefix): bits for name, bits in known.items()}, stage)
        self._report(trainer)

    def _report(self, trainer: Trainer) -> None:
        """Log and write, unless the run is a dry one."""
        if self.figures is None or getattr(trainer, "fast_dev_run", False):
            return
        for logger in trainer.loggers:
            logger.log_metrics(list_values(self.figures), step=trainer.global_step)
            log_text(logger, "vocabulary", to_markdown(self.figures), trainer.global_step)
        self._write(self.figures, Path(self.folder or _run_folder(trainer)))

    def _write(self, figures: VocabularyFigures, folder: Path) -> None:
        from lightning_tying.reports.vocabulary.html import to_html  # heavy: matplotlib

        texts = {"json": to_json(figures), "md": to_markdown(figures), "html": to_html(figures)}
        try:
            for ending, text in texts.items():
                write_page(text if text.endswith("\n") else f"{text}\n", folder / f"{NAME}.{ending}")
        except ConfigError as error:
            rank_zero_warn(
                f"VocabularyReport: {error} The run goes on without {NAME}.json, .md and .html. Give it a folder that "
                "can be written: VocabularyReport(folder=...)."
            )


def _run_folder(trainer: Trainer) -> str:
    folder = cast("Any", getattr(trainer.checkpoint_callback, "dirpath", None))
    return str(folder or trainer.default_root_dir)
